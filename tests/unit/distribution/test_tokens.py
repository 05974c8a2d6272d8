"""What is asked of token servers, what they answer, and how long it is good. The clock is the test's."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest
from yarl import URL

from dockwright.credentials import Credentials
from dockwright.distribution import tokens
from dockwright.distribution.challenge import Challenge
from dockwright.errors import Corrupt, Forbidden

CHALLENGE = Challenge("bearer", (("realm", "https://auth/token?x=1"), ("service", "registry")))
SCOPES = frozenset({"repository:b:pull", "repository:a:pull,push"})
WALL_NS = 1_700_000_000_000_000_000


def test_anonymous_asks_for_the_scopes_alone() -> None:
    (ask,) = tokens.asks(CHALLENGE, SCOPES, Credentials(), verified=True)
    assert ask.form is None and ask.account is None
    assert ask.url.query.getall("scope") == ["repository:a:pull,push", "repository:b:pull"]
    assert ask.url.query["service"] == "registry" and ask.url.query["x"] == "1"
    assert "account" not in ask.url.query


def test_a_password_goes_into_a_header_and_no_url() -> None:
    (ask,) = tokens.asks(CHALLENGE, SCOPES, Credentials("alice", "secret"), verified=True, offline=True)
    assert ask.account == ("alice", "secret") and ask.url.query["account"] == "alice"
    assert ask.url.query["offline_token"] == "true" and ask.url.query["client_id"] == "dockwright"
    assert "secret" not in str(ask.url) and "secret" not in repr(ask)


def test_an_identity_token_is_posted_and_then_tried_as_a_password() -> None:
    form, plain = tokens.asks(CHALLENGE, SCOPES, Credentials("alice", identity_token="identity"), verified=True)
    assert form.form is not None and form.account is None
    assert parse_qs(form.form.decode()) == {
        "grant_type": ["refresh_token"],
        "service": ["registry"],
        "client_id": ["dockwright"],
        "scope": ["repository:a:pull,push repository:b:pull"],
        "refresh_token": ["identity"],
    }
    assert plain.account == ("alice", "identity")
    assert "identity" not in str(form.url) + str(plain.url) + repr(form) + repr(plain)


def test_a_realm_keeps_its_path_and_loses_an_account() -> None:
    challenge = Challenge("bearer", (("realm", "https://bob:pw@auth:8443/a/b#c"),))
    assert tokens.realm(challenge, verified=True) == URL("https://auth:8443/a/b")


@pytest.mark.parametrize("realm", ["", "auth/token", "file:///x", "https://", "https://[", "javascript:x"])
def test_a_realm_that_is_no_web_address_is_refused(realm: str) -> None:
    with pytest.raises(Corrupt):
        tokens.realm(Challenge("bearer", (("realm", realm),)), verified=False)


def test_a_realm_without_tls_is_only_for_registries_without() -> None:
    challenge = Challenge("bearer", (("realm", "http://auth/token"),))
    with pytest.raises(Forbidden):
        tokens.realm(challenge, verified=True)
    assert tokens.realm(challenge, verified=False).host == "auth"


@pytest.mark.parametrize(
    ("answer", "life"),
    [
        (b'{"token":"t"}', 54),
        (b'{"token":"t","expires_in":300}', 290),
        (b'{"access_token":"t","expires_in":10}', 9),
        (b'{"token":"t","expires_in":-5}', 54),
        (b'{"token":"t","expires_in":100,"issued_at":"2023-11-14T22:12:50Z"}', 63),
        (b'{"token":"t","expires_in":100,"issued_at":"2023-11-14T20:00:00Z"}', 90),
        (b'{"token":"t","expires_in":100,"issued_at":"2033-11-14T22:13:20Z"}', 90),
        (b'{"token":"t","expires_in":100,"issued_at":"nonsense"}', 90),
        (b'{"token":"t","expires_in":100,"issued_at":null,"refresh_token":null}', 90),
    ],
)
def test_how_long_a_token_is_good(answer: bytes, life: float) -> None:
    token = tokens.read(answer, 1000.0, WALL_NS)
    assert token.value == "t" and token.expires_s == pytest.approx(1000 + life)


def test_tokens_are_kept_by_who_asked_whom_for_what_until_they_run_out() -> None:
    now = [0.0]
    cache = tokens.Cache(lambda: now[0])
    alice, bob = Credentials("alice", "a"), Credentials("bob", "b")
    token = tokens.Token("t", 10.0)
    cache.put(CHALLENGE, SCOPES, alice, token)
    assert cache.get(CHALLENGE, SCOPES, alice) is token
    assert cache.get(CHALLENGE, SCOPES, bob) is None
    assert cache.get(CHALLENGE, frozenset(), alice) is None
    assert cache.get(Challenge("bearer", (("realm", "https://other"),)), SCOPES, alice) is None
    now[0] = 10.0
    assert cache.get(CHALLENGE, SCOPES, alice) is None
    cache.put(CHALLENGE, SCOPES, alice, tokens.Token("u", 20.0))
    cache.drop(CHALLENGE, SCOPES, alice)
    cache.drop(CHALLENGE, SCOPES, alice)
    assert cache.get(CHALLENGE, SCOPES, alice) is None


def test_the_cache_has_a_limit() -> None:
    cache = tokens.Cache(lambda: 0.0)
    for number in range(tokens.CACHE_LIMIT + 100):
        cache.put(CHALLENGE, frozenset({str(number)}), Credentials(), tokens.Token("t", 10.0))
    assert len(cache._tokens) == tokens.CACHE_LIMIT
    assert cache.get(CHALLENGE, frozenset({"0"}), Credentials()) is None


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(tokens.Token("secret", 1.0, "secret"))
    assert "secret" not in repr(Credentials("alice", "secret", "secret", "secret"))


def test_pulling_is_within_pulling_and_pushing() -> None:
    held = frozenset({"repository:a:pull,push"})
    assert tokens.beyond(frozenset({"repository:a:pull", "repository:a:push,pull"}), held) == frozenset()
    assert tokens.beyond(frozenset({"repository:a:delete", "repository:b:pull", "odd"}), held) == frozenset(
        {"repository:a:delete", "repository:b:pull", "odd"}
    )
