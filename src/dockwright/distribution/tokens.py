"""Bearer tokens: what to ask a token server, what its answer holds, and the tokens that are still good.

Docker registry token specification ("Token Authentication Specification", "Using OAuth2 to obtain tokens"). No I/O.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

import msgspec
from yarl import URL

from dockwright.credentials import Credentials, FetchedToken
from dockwright.distribution.challenge import Challenge
from dockwright.distribution.urls import NO_URL
from dockwright.errors import Corrupt, Forbidden, Invalid
from dockwright.units import parse_time

CLIENT_ID = "dockwright"
DEFAULT_LIFE_S = 60.0
ANSWER_LIMIT = 1024 * 1024
CACHE_LIMIT = 512

Scopes = frozenset[str]


def repository_scope(path: str, *actions: str) -> str:
    """The scope of actions (`pull`, `push`, `delete`) on one repository."""
    return f"repository:{path}:{','.join(actions)}"


def beyond(wanted: Scopes, held: Scopes) -> Scopes:
    """The scopes of `wanted` that ask for something `held` does not: `pull` is within `pull,push` of the same repository."""
    return frozenset(scope for scope in wanted if not any(_within(scope, one) for one in held))


def _within(scope: str, other: str) -> bool:
    what, _, actions = scope.rpartition(":")
    other_what, _, others = other.rpartition(":")
    return what == other_what and set(actions.split(",")) <= set(others.split(","))


@dataclass(frozen=True)
class Ask:
    """One request to a token server; `form` None means GET, with `account` as Basic credentials where there is a name."""

    url: URL
    form: bytes | None = field(default=None, repr=False)
    account: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Token:
    """A bearer token, good until `expires_s` on the monotonic clock; `refresh` is an identity token where one was asked for."""

    value: str = field(repr=False)
    expires_s: float
    refresh: str = field(default="", repr=False)


class _Answer(msgspec.Struct):
    token: str | None = ""
    access_token: str | None = ""
    refresh_token: str | None = ""
    expires_in: float | None = None
    issued_at: str | None = ""


def realm(challenge: Challenge, *, verified: bool) -> URL:
    """Where the token server is. Raises `Corrupt` when that is nowhere, `Forbidden` when it lacks the registry's TLS."""
    try:
        url = URL(challenge.get("realm"))
        host = url.host
    except NO_URL:
        host = None
    if not host or url.scheme not in ("http", "https"):
        raise Corrupt("the registry names a token server that is no URL")
    if verified and url.scheme != "https":
        raise Forbidden(f"the registry names a token server without TLS: {url.scheme}://{host}; nothing was sent to it")
    return url.with_user(None).with_fragment(None)


def asks(
    challenge: Challenge, scopes: Scopes, credentials: Credentials, *, verified: bool, offline: bool = False
) -> list[Ask]:
    """The requests that may give a token, each to be tried when the one before is not known to the server.

    `offline` asks for an identity token too, as a login does.
    """
    url, service = realm(challenge, verified=verified), challenge.get("service")
    query = [("scope", scope) for scope in sorted(scopes)]
    if service:
        query.insert(0, ("service", service))
    if offline:
        query += [("offline_token", "true"), ("client_id", CLIENT_ID)]
    secret = credentials.password or credentials.identity_token
    account = (credentials.username or "<token>", secret) if secret or credentials.username else None
    if account is not None and credentials.username:
        query.append(("account", credentials.username))
    plain = Ask(url.extend_query(query), None, account)
    if not credentials.identity_token:
        return [plain]
    form = {"grant_type": "refresh_token", "service": service, "client_id": CLIENT_ID}
    form |= {"scope": " ".join(sorted(scopes)), "refresh_token": credentials.identity_token}
    if offline:
        form["access_type"] = "offline"
    return [Ask(url, urlencode(form).encode()), plain]


def read(content: bytes, now_s: float, wall_ns: int) -> Token:
    """A token server's answer. Raises `Corrupt` when it holds no token."""
    try:
        answer = msgspec.json.decode(content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Corrupt("the token server's answer is malformed") from None
    value = answer.access_token or answer.token or ""
    if not value or not value.isascii() or not value.isprintable() or " " in value:
        raise Corrupt("authorization server did not include a token in the response")
    life = answer.expires_in if answer.expires_in is not None and answer.expires_in > 0 else DEFAULT_LIFE_S
    life -= _age_s(answer.issued_at or "", wall_ns, life)
    # Left unused at its very end: it has to be good when it arrives.
    return Token(value, now_s + life - min(10.0, life / 10), answer.refresh_token or "")


def given(fetched: FetchedToken, now_s: float) -> Token:
    """A token that somebody else has fetched."""
    life = fetched.life_s if fetched.life_s > 0 else DEFAULT_LIFE_S
    return Token(fetched.value, now_s + life - min(10.0, life / 10))


def _age_s(issued_at: str, wall_ns: int, life_s: float) -> float:
    """How old a token is already; 0 where the clocks disagree."""
    try:
        age = (wall_ns - parse_time(issued_at, wall_ns)) / 1e9 if issued_at else 0.0
    except Invalid:
        return 0.0
    return age if 0 <= age < life_s else 0.0


class Cache:
    """The tokens that are good, by who asked whom for what."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens: dict[tuple[str, str, Scopes, Credentials], Token] = {}

    def get(self, challenge: Challenge, scopes: Scopes, credentials: Credentials) -> Token | None:
        """A token that is good for exactly these scopes, or None."""
        token = self._tokens.get(_key(challenge, scopes, credentials))
        return token if token is not None and token.expires_s > self._clock() else None

    def put(self, challenge: Challenge, scopes: Scopes, credentials: Credentials, token: Token) -> None:
        """Keep a token; those past their time go, and the oldest when there are too many."""
        now = self._clock()
        self._tokens = {key: kept for key, kept in self._tokens.items() if kept.expires_s > now}
        while len(self._tokens) >= CACHE_LIMIT:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[_key(challenge, scopes, credentials)] = token

    def drop(self, challenge: Challenge, scopes: Scopes, credentials: Credentials) -> None:
        """Forget a token that the registry no longer takes."""
        self._tokens.pop(_key(challenge, scopes, credentials), None)


def _key(challenge: Challenge, scopes: Scopes, credentials: Credentials) -> tuple[str, str, Scopes, Credentials]:
    return challenge.get("realm"), challenge.get("service"), scopes, credentials
