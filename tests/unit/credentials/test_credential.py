"""Credentials as values and on the wire."""

from __future__ import annotations

import base64
import json

import pytest
from docker.auth import decode_auth, encode_header
from hypothesis import given
from hypothesis import strategies as st

from dockwright.credentials import HUB, Credentials, from_document, from_header, hostname, key_of, to_header
from dockwright.errors import Invalid


def header(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def test_no_secret_is_in_what_is_printed() -> None:
    shown = repr(Credentials("ada", "one-secret", "two-secret", "three-secret"))
    assert "ada" in shown and "secret" not in shown


def test_a_header_comes_back_as_it_went() -> None:
    for credentials in (
        Credentials("ü", "pä:ss\n?>"),
        Credentials(identity_token="t"),
        Credentials(registry_token="r"),
    ):
        assert from_header(to_header(credentials, "registry:5000")) == credentials


def test_the_headers_of_dockers_sdk_are_read() -> None:
    text = encode_header({"username": "ada", "password": "p>?ÿ", "serveraddress": "r:1"}).decode()
    assert from_header(text) == Credentials("ada", "p>?ÿ")
    assert from_header(text.rstrip("=")) == Credentials("ada", "p>?ÿ")
    assert decode_auth(base64.b64encode(b"a:b").decode()) == ("a", "b")


def test_the_plain_alphabet_is_read_as_well() -> None:
    text = base64.b64encode(json.dumps({"username": "a", "password": "~~~???"}).encode()).decode()
    assert from_header(text) == Credentials("a", "~~~???")


@pytest.mark.parametrize("text", ["", "  ", "====", header({}), header(None), header({"serveraddress": "r:1"})])
def test_nothing_said_is_no_credentials(text: str) -> None:
    assert from_header(text) is None


@pytest.mark.parametrize(
    "text",
    ["garbage", "%%%", "é", header([]), header("x"), header({"username": 5}), header({"auth": "x"}), "A" * 100_000]
    + [base64.urlsafe_b64encode(b"[" * 9000).decode(), base64.urlsafe_b64encode(b"\xff\xfe").decode()],
)
def test_a_header_that_is_none_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(Invalid, match="X-Registry-Auth") as caught:
        from_header(text)
    assert text[:200] not in str(caught.value) or text in ("é",)


@given(st.text(max_size=200))
def test_any_header_is_read_or_refused(text: str) -> None:
    try:
        from_header(text)
    except Invalid:
        pass


def test_names_of_fields_are_taken_in_any_case() -> None:
    auth = base64.b64encode(b"a:b:c").decode()
    assert from_document({"Username": "u", "PASSWORD": "p"}) == Credentials("u", "p")
    assert from_document({"auth": auth, "email": None, "other": 5}) == Credentials("a", "b:c")
    assert from_document({"IdentityToken": "t"}) == Credentials(identity_token="t")


def test_a_server_has_one_key_whatever_it_is_called() -> None:
    for name in ("", "docker.io", "https://index.docker.io/v1/", "index.docker.io", "https://registry-1.docker.io/v2/"):
        assert key_of(name) == HUB
    assert key_of("https://Registry:5000/v2/x") == "Registry:5000"
    assert hostname("http://r/v1/") == hostname("r/x") == hostname("r") == "r"
