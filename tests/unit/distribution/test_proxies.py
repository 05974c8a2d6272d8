"""Proxies by the environment, with Go's rules."""

from __future__ import annotations

import pytest
from yarl import URL

from dockwright.distribution import Proxies
from dockwright.errors import Invalid, Unsupported

PROXY = "http://proxy:3128"

RULES = [
    ("", "http://example.com", False),
    ("*", "http://example.com", True),
    ("example.com", "http://example.com", True),
    ("example.com", "http://EXAMPLE.com.", True),
    ("example.com", "http://sub.example.com", True),
    ("example.com", "http://notexample.com", False),
    (".example.com", "http://sub.example.com", True),
    (".example.com", "http://example.com", False),
    ("*.example.com", "http://sub.example.com", True),
    ("*.example.com", "http://example.com", False),
    ("example.com:80", "http://example.com", True),
    ("example.com:80", "https://example.com", False),
    ("example.com:443", "https://example.com", True),
    ("example.com:5000", "http://example.com:5000", True),
    ("example.com:5000", "http://example.com:5001", False),
    ("other, , example.com", "http://example.com", True),
    ("10.0.0.1", "http://10.0.0.1", True),
    ("10.0.0.1", "http://10.0.0.10", False),
    ("10.0.0.1:8080", "http://10.0.0.1:8080", True),
    ("10.0.0.1:8080", "http://10.0.0.1", False),
    ("10.0.0.0/8", "http://10.200.3.4:5000", True),
    ("10.0.0.0/8", "http://11.0.0.1", False),
    ("10.0.0.0/8", "http://example.com", False),
    ("10.0.0.0/nonsense", "http://10.0.0.1", False),
    ("2001:db8::/32", "http://[2001:db8::1]:5000", True),
    ("[2001:db8::1]:5000", "http://[2001:db8::1]:5000", True),
    ("2001:db8::1", "http://[2001:db8::1]:5000", True),
    ("0.1", "http://10.0.0.1", False),
    (".", "http://example.com", False),
    (":", "http://example.com", False),
    ("", "http://localhost:5000", True),
    ("", "http://127.3.2.1", True),
    ("", "http://[::1]", True),
    ("", "http://localhost.example.com", False),
]


@pytest.mark.parametrize(("no_proxy", "url", "exempt"), RULES)
def test_what_is_reached_without_a_proxy(no_proxy: str, url: str, exempt: bool) -> None:
    chosen = Proxies(PROXY, PROXY, no_proxy).choose(URL(url))
    assert chosen == (None if exempt else URL(PROXY))


def test_the_scheme_of_the_url_chooses_the_proxy() -> None:
    proxies = Proxies("http://plain:1", "http://encrypted:2")
    assert proxies.choose(URL("http://a")) == URL("http://plain:1")
    assert proxies.choose(URL("https://a")) == URL("http://encrypted:2")
    assert Proxies(http="http://plain:1").choose(URL("https://a")) is None


def test_a_proxy_without_scheme_is_an_http_proxy() -> None:
    assert Proxies("user:pass@proxy:3128").choose(URL("http://a")) == URL("http://user:pass@proxy:3128")


def test_capitals_win_in_the_environment_and_cgi_is_not_believed() -> None:
    environment = {
        "http_proxy": "http://small",
        "HTTPS_PROXY": "http://big",
        "https_proxy": "http://small",
        "no_proxy": "x",
    }
    assert Proxies.from_environment(environment) == Proxies("http://small", "http://big", "x")
    assert Proxies.from_environment(environment | {"REQUEST_METHOD": "GET"}) == Proxies("", "http://big", "x")
    assert Proxies.from_environment({}) == Proxies()


def test_a_proxy_that_cannot_be_used_is_an_error_without_its_password() -> None:
    with pytest.raises(Unsupported) as caught:
        Proxies("socks5h://bob:secret@proxy").choose(URL("http://a"))
    assert "secret" not in str(caught.value)
    for odd in ("http://", "http://[", "://"):
        with pytest.raises((Invalid, Unsupported)):
            Proxies(odd).choose(URL("http://a"))


def test_passwords_of_proxies_are_not_shown() -> None:
    assert "secret" not in repr(Proxies("http://bob:secret@proxy", "http://bob:secret@proxy"))


@pytest.mark.parametrize("text", ["[]@", "http://[", "http://", "://x", "[::1"])
def test_a_proxy_that_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        Proxies(http=text).choose(URL("http://example.com"))
