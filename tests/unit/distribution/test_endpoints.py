"""Where registries and their mirrors are, and which of them may lack TLS."""

from __future__ import annotations

import ipaddress

import pytest
from yarl import URL

from dockwright.distribution import endpoints, server_host
from dockwright.distribution.searching import split_term
from dockwright.errors import Invalid


def test_the_hub_is_served_by_a_host_of_another_name() -> None:
    (hub,) = endpoints.direct("docker.io", insecure=False)
    assert (hub.base, hub.registry, hub.verified) == (URL("https://registry-1.docker.io/v2/"), "docker.io", True)


def test_an_insecure_registry_is_tried_encrypted_first() -> None:
    ways = endpoints.direct("host:5000", insecure=True)
    assert [str(way.base) for way in ways] == ["https://host:5000/v2/", "http://host:5000/v2/"]
    assert not any(way.verified for way in ways)


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a:port", "-a", "[::1", "a@b", "host:99999", ".."])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(Invalid):
        endpoints.direct(host, insecure=False)


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("https://mirror", "https://mirror/v2/"),
        ("http://mirror:5000/", "http://mirror:5000/v2/"),
        ("https://mirror/prefix/", "https://mirror/prefix/v2/"),
        ("https://harbor/v2/cache", "https://harbor/v2/cache/"),
        ("https://mirror/v20", "https://mirror/v20/v2/"),
    ],
)
def test_a_mirror_may_have_a_path(text: str, base: str) -> None:
    assert str(endpoints.mirror_base(text)) == base


def test_mirrors_of_a_registry_come_before_those_of_any() -> None:
    table = {"*": ("https://any", "http://both"), "quay.io": ("http://both", "https://own")}
    found = [str(base) for base in endpoints.mirrors("quay.io", table)]
    assert found == ["http://both/v2/", "https://own/v2/", "https://any/v2/"]
    assert [str(base) for base in endpoints.mirrors("ghcr.io", table)] == ["https://any/v2/", "http://both/v2/"]
    assert endpoints.mirrors("ghcr.io", {}) == []


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a/v2/", "a"),
        ("https://a:443/v2/", "a"),
        ("https://a:5000/", "a:5000"),
        ("http://a:80/", "a"),
        ("https://[::1]:5000/", "[::1]:5000"),
        ("https://[::1]/", "[::1]"),
    ],
)
def test_the_folder_of_a_host_s_certificates(url: str, host: str) -> None:
    assert endpoints.authority(URL(url)) == host


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9", "::1"])
def test_this_host_is_known_by_its_form(name: str) -> None:
    assert endpoints.is_loopback(name)


@pytest.mark.parametrize("name", ["localhost.example.com", "10.0.0.1", "example.com", "::2", "127.0.0.1.example.com"])
def test_other_hosts_are_not_this_one(name: str) -> None:
    assert not endpoints.is_loopback(name)


@pytest.mark.parametrize(
    ("name", "port", "insecure", "listed"),
    [
        ("host", 5000, ["host:5000"], True),
        ("HOST", 5000, ["host:5000"], True),
        ("host", 5001, ["host:5000"], False),
        ("host", 5001, ["host"], True),
        ("sub.host", None, ["host"], False),
        ("10.1.2.3", 5000, ["10.0.0.0/8"], True),
        ("10.1.2.3", 5000, ["10.1.2.3"], True),
        ("10.1.2.3", 5000, ["10.1.2.3:5000"], True),
        ("2001:db8::1", 5000, ["2001:db8::/32"], True),
        ("2001:db8::1", 5000, ["[2001:db8:0::1]:5000"], True),
        ("11.1.2.3", None, ["10.0.0.0/8"], False),
        ("host", None, [], False),
    ],
)
def test_insecure_registries_are_listed_by_name_port_or_network(
    name: str, port: int | None, insecure: list[str], listed: bool
) -> None:
    assert endpoints.listed(name, port, insecure, ()) is listed


def test_a_name_is_judged_by_what_it_resolves_to() -> None:
    resolved = [ipaddress.ip_address("10.0.0.7")]
    assert endpoints.listed("host", None, ["10.0.0.0/8"], resolved)
    assert not endpoints.listed("host", None, ["10.0.0.7"], resolved)


@pytest.mark.parametrize(
    ("server", "host"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("https://quay.io", "quay.io"),
        ("http://host:5000/v2/", "host:5000"),
    ],
)
def test_a_login_names_its_registry_in_many_ways(server: str, host: str) -> None:
    assert server_host(server) == host


@pytest.mark.parametrize(
    ("term", "wanted"),
    [
        ("tool", ("docker.io", "tool")),
        ("library/tool", ("docker.io", "tool")),
        ("alice/tool", ("docker.io", "alice/tool")),
        ("quay.io/tool", ("quay.io", "tool")),
        ("host:5000/a/b", ("host:5000", "a/b")),
        ("localhost/a", ("localhost", "a")),
        ("docker.io/library/tool", ("docker.io", "tool")),
        ("index.docker.io/tool", ("docker.io", "tool")),
    ],
)
def test_a_search_term_may_begin_with_a_registry(term: str, wanted: tuple[str, str]) -> None:
    assert split_term(term) == wanted


def test_a_search_term_is_no_url() -> None:
    with pytest.raises(Invalid, match="must not contain a scheme"):
        split_term("https://quay.io/tool")
