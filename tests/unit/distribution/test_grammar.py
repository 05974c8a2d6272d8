"""Headers and bodies of registries as values: challenges, ranges, pages, refusals, patience."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from dockwright.distribution import backoff, challenge, links, ranges, refusals
from dockwright.distribution.challenge import Challenge
from dockwright.distribution.options import RegistryOptions
from dockwright.errors import Conflict, Forbidden, Invalid, NotFound, Unauthorized, Unavailable
from dockwright.oci import reference

CHALLENGES = {
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"': [
        (
            "bearer",
            {
                "realm": "https://auth.docker.io/token",
                "service": "registry.docker.io",
                "scope": "repository:a/b:pull,push",
            },
        )
    ],
    'Basic realm="a \\"quoted\\", name"': [("basic", {"realm": 'a "quoted", name'})],
    "bearer REALM=https://x/t?a=b , Service=s": [("bearer", {"realm": "https://x/t?a=b", "service": "s"})],
    'Negotiate, Basic realm="x", Digest realm="y", qop="auth,auth-int", nonce=abc': [
        ("negotiate", {}),
        ("basic", {"realm": "x"}),
        ("digest", {"realm": "y", "qop": "auth,auth-int", "nonce": "abc"}),
    ],
    'NTLM TlRMTVNTUAAC==, Bearer realm="z"': [("ntlm", {}), ("bearer", {"realm": "z"})],
    'Basic realm=""': [("basic", {"realm": ""})],
    "": [],
    "   ,, ,": [],
    "=x": [],
    'Bearer realm="never closed': [("bearer", {"realm": ""})],
}


@pytest.mark.parametrize("header", CHALLENGES)
def test_challenges_are_read(header: str) -> None:
    found = [(one.scheme, dict(one.parameters)) for one in challenge.parse([header])]
    assert found == CHALLENGES[header]


def test_a_token_is_preferred_to_a_password_and_needs_a_realm() -> None:
    basic, bearer = Challenge("basic"), Challenge("bearer", (("realm", "x"),))
    assert challenge.choose([basic, bearer]) == bearer
    assert challenge.choose([Challenge("bearer"), basic]) == basic
    assert challenge.choose([Challenge("digest")]) is None
    assert challenge.choose([]) is None


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("bytes 0-9/10", (0, 9, 10)),
        ("bytes 5-9/*", (5, 9, None)),
        (" BYTES  5-5/6 ", (5, 5, 6)),
        ("bytes 9-5/10", None),
        ("bytes */10", None),
        ("items 0-9/10", None),
        ("bytes 0-99999999999999999999/1", None),
        ("bytes ٣-٤/٥", None),
        ("", None),
    ],
)
def test_content_ranges_are_read(value: str, wanted: tuple[int, int, int | None] | None) -> None:
    found = ranges.content_range(value)
    assert (None if found is None else (found.start, found.end, found.total)) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("0-99", 100), ("bytes=0-99", 100), ("0-0", 0), ("1-9", None), ("0--1", None), ("", None), ("0-1e3", None)],
)
def test_how_far_an_upload_has_come_is_read(value: str, wanted: int | None) -> None:
    assert ranges.received_bytes(value) == wanted


@pytest.mark.parametrize(
    ("value", "wanted"), [("0", 0), ("12", 12), ("-1", None), ("", None), ("1_0", None), ("٣", None)]
)
def test_lengths_are_read(value: str, wanted: int | None) -> None:
    assert ranges.length(value) == wanted


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ('</v2/a/tags/list?last=b&n=2>; rel="next"', "/v2/a/tags/list?last=b&n=2"),
        ("<x>; rel=next", "x"),
        ('<p>; rel="prev", <n>; rel="next last"', "n"),
        ('<p>; rel="prev"', None),
        ('<a,b>; title="x"; rel="next"', "a,b"),
        ("", None),
        ("<<>>", None),
    ],
)
def test_the_next_page_is_found(header: str, wanted: str | None) -> None:
    assert links.next_page(header) == wanted


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("Fri, 02 Jan 2026 03:05:05 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:05:05 -0000", 60.0),
        ("Fri, 02 Jan 2020 03:05:05 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("99999999999", None),
        ("", None),
    ],
)
def test_patience_is_told_in_seconds_or_by_a_date(value: str, wanted: float | None) -> None:
    assert refusals.patience_s({"Retry-After": value}, NOW) == wanted


def test_delays_double_up_to_a_limit_and_never_quite_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    options = RegistryOptions(first_delay_s=1.0, max_delay_s=8.0)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    assert [backoff.delay_s(failures, options) for failures in (1, 2, 3, 4, 5, 1000)] == [1, 2, 4, 8, 8, 8]
    monkeypatch.setattr(random, "uniform", lambda low, high: low)
    assert [backoff.delay_s(failures, options) for failures in (1, 2, 3)] == [0.5, 1, 2]


BODIES = {
    "a code and a message": (
        404,
        b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"nope"}]}',
        "manifest unknown: nope",
    ),
    "a code alone": (
        404,
        b'{"errors":[{"code":"NAME_UNKNOWN"}]}',
        "name unknown: repository name not known to registry",
    ),
    "the first of several": (400, b'{"errors":[{"code":"A"},{"code":"B"}]}', "a: bad request"),
    "an unknown code": (401, b'{"errors":[{"code":"UNKNOWN","message":"hm"}]}', "unauthorized: hm"),
    "details": (401, b'{"details":"incorrect username or password"}', "unauthorized: incorrect username or password"),
    "OAuth2": (400, b'{"error":"invalid_grant","error_description":"stale"}', "stale"),
    "a page": (502, b"<html>", "bad gateway"),
    "nothing": (403, b"", "denied: requested access to the resource is denied"),
    "numbers": (418, b'{"errors":[{"code":7,"message":null}]}', "7: i'm a teapot"),
    "another shape": (409, b'{"errors":{"a":1}}', "conflict"),
    "not text": (500, b"\xff\xfe\x00", "internal server error"),
    "an odd status": (599, b"", "status 599"),
}


@pytest.mark.parametrize("name", BODIES)
def test_refusals_are_told_in_docker_s_words(name: str) -> None:
    status, body, told = BODIES[name]
    assert str(refusals.read(status, {}, body)) == told


def test_a_header_of_bearer_tokens_outweighs_the_body() -> None:
    headers = {"WWW-Authenticate": 'Bearer realm="x",error="insufficient_scope",error_description="no"'}
    assert str(refusals.read(401, headers, b'{"errors":[{"code":"UNAUTHORIZED"}]}')) == "denied: no"
    headers = {"WWW-Authenticate": 'Bearer realm="x",error="invalid_token"'}
    assert str(refusals.read(401, headers, b"")) == "unauthorized: authentication required"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Invalid), (401, Unauthorized), (403, Forbidden), (404, NotFound), (409, Conflict), (418, Unavailable)],
)
def test_a_status_has_a_meaning(status: int, kind: type[Exception]) -> None:
    assert type(refusals.error_of(refusals.read(status, {}, b""), "Get")) is kind


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_worth_another_attempt(status: int) -> None:
    error = refusals.error_of(refusals.read(status, {}, b""), "Get", 3.0)
    assert isinstance(error, refusals.Interrupted) and error.retry_after_s == 3.0


def test_a_pull_names_the_image() -> None:
    name = reference.parse("alice/tool:v1")
    told = {
        "MANIFEST_UNKNOWN": "manifest for alice/tool:v1 not found: manifest unknown: manifest unknown",
        "NAME_UNKNOWN": "repository alice/tool not found: name unknown: repository name not known to registry",
        "DENIED": "pull access denied for alice/tool, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied",
    }
    for code, message in told.items():
        refusal = refusals.read(404, {}, b'{"errors":[{"code":"%s"}]}' % code.encode())
        error = refusals.pull_error(refusal, name, "Get")
        assert isinstance(error, NotFound) and str(error) == message
