"""Whatever a registry, a token server or an environment says: a value or an error of ours, and nothing of it out of bounds."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yarl import URL

from dockwright.credentials import Credentials
from dockwright.distribution import (
    Proxies,
    challenge,
    endpoints,
    links,
    manifests,
    ranges,
    refusals,
    server_host,
    tokens,
)
from dockwright.distribution.searching import split_term
from dockwright.errors import DockwrightError, Invalid
from dockwright.oci import reference

PIECES = st.sampled_from(
    'Bearer Basic realm= " \\ , ; = < > rel=next https:// http:// file:// [::1] :5000 / /v2/ @ # ? % %zz bytes 0-0 - / * '
    "repository:a:pull 10.0.0.0/8 .example.com localhost \x00 \r\n é ٣ 99999999999999999999 a=b== {} [] null".split(" ")
)
TEXT = st.one_of(st.text(max_size=80), st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).map("".join))


@given(TEXT)
@settings(max_examples=300, deadline=None)
@example('Bearer realm="' + "\\" * 5000)
@example("a " * 5000)
@example("=" * 5000)
def test_any_challenge_is_read(text: str) -> None:
    for one in challenge.parse([text, text]):
        assert one.scheme == one.scheme.lower() and one.scheme
    challenge.choose(challenge.parse([text]))


QUOTED = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_-", min_size=1, max_size=8)
PARAMETERS = st.dictionaries(NAMES, QUOTED, min_size=1, max_size=4)


@given(st.lists(st.tuples(NAMES, PARAMETERS), min_size=1, max_size=3))
@settings(deadline=None)
def test_what_was_written_as_a_challenge_is_read_as_it_was(said: list[tuple[str, dict[str, str]]]) -> None:
    def quote(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        scheme + " " + ", ".join(f"{name}={quote(value)}" for name, value in parameters.items())
        for scheme, parameters in said
    )
    found = challenge.parse([header])
    assert [(one.scheme, dict(one.parameters)) for one in found] == said


@given(TEXT)
@settings(deadline=None)
def test_any_range_page_and_patience_is_read(text: str) -> None:
    if (found := ranges.content_range(text)) is not None:
        assert 0 <= found.start <= found.end
    for count in (ranges.received_bytes(text), ranges.length(text), refusals.patience_s({"Retry-After": text})):
        assert count is None or count >= 0
    assert links.next_page(text) is None or links.next_page(text) in text


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_ranges_are_read_as_they_were_written(start: int, more: int) -> None:
    found = ranges.content_range(f"bytes {start}-{start + more}/{start + more + 1}")
    assert found is not None and (found.start, found.end, found.total) == (start, start + more, start + more + 1)
    assert ranges.received_bytes(f"0-{start}") == (start + 1 if start else 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["errors", "code", "message", "details", "token", "expires_in"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)
BODIES = st.one_of(st.binary(max_size=60), JSON.map(msgspec.json.encode))


@given(st.integers(400, 599), TEXT, BODIES)
@settings(max_examples=300, deadline=None)
def test_any_refusal_becomes_an_error_that_is_safe_to_show(status: int, header: str, body: bytes) -> None:
    refusal = refusals.read(status, {"WWW-Authenticate": header}, body)
    for error in (refusals.error_of(refusal, "Get"), refusals.pull_error(refusal, reference.parse("a:b"), "Get")):
        assert isinstance(error, DockwrightError)
        assert str(error) and str(error).isprintable() and len(str(error)) < 3000


@given(BODIES)
@settings(max_examples=300, deadline=None)
def test_any_answer_of_a_token_server_is_a_token_or_an_error(body: bytes) -> None:
    try:
        token = tokens.read(body, 0.0, 0)
    except DockwrightError:
        return
    assert token.value and token.value.isprintable() and token.expires_s > 0


@given(TEXT, TEXT)
@settings(deadline=None)
def test_any_realm_is_a_web_address_or_an_error(realm: str, scope: str) -> None:
    asked = challenge.Challenge("bearer", (("realm", realm), ("service", scope)))
    try:
        asks = tokens.asks(asked, frozenset({scope}), Credentials("a", "b", "c"), verified=False)
    except DockwrightError:
        return
    for ask in asks:
        assert ask.url.scheme in ("http", "https") and ask.url.host


@given(TEXT)
@settings(deadline=None)
def test_any_host_is_an_endpoint_or_invalid(text: str) -> None:
    for parse in (
        lambda: endpoints.direct(text, insecure=True),
        lambda: endpoints.mirror_base(text),
        lambda: endpoints.check_insecure(text),
        lambda: server_host(text),
        lambda: split_term(text),
    ):
        with contextlib.suppress(Invalid):
            parse()


@given(TEXT, TEXT)
@settings(deadline=None)
def test_any_environment_gives_a_proxy_none_or_an_error(proxy: str, no_proxy: str) -> None:
    for url in ("http://example.com:5000", "https://[2001:db8::1]/"):
        try:
            chosen = Proxies(proxy, proxy, no_proxy).choose(URL(url))
        except DockwrightError:
            continue
        assert chosen is None or (chosen.scheme in ("http", "https") and chosen.host)


@given(TEXT, TEXT, BODIES)
@settings(deadline=None)
def test_any_manifest_is_judged(kind: str, digest: str, body: bytes) -> None:
    wanted = manifests.target(reference.parse("a"), "latest")
    with pytest.raises(DockwrightError):
        manifests.judge(wanted, {"Content-Type": kind, "Docker-Content-Digest": digest}, body)
