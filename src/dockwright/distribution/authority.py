"""Proving who we are to one endpoint: answers its challenges, with what the credentials hold."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager

from dockwright import faults
from dockwright.credentials import Credentials
from dockwright.distribution import challenge as challenges
from dockwright.distribution import refusals, tokens
from dockwright.distribution.challenge import Challenge
from dockwright.distribution.endpoints import Endpoint
from dockwright.distribution.tokens import Ask, Scopes, Token
from dockwright.distribution.wire import Request, Wire, read_limited, read_start
from dockwright.errors import Unauthorized

# What a token server says when it does not know the way it was asked.
_UNKNOWN_WAY = frozenset({400, 404, 405, 501})
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Knowledge:
    """What all requests of one client share: the tokens, and what each endpoint challenged with last."""

    def __init__(self) -> None:
        self.tokens = tokens.Cache()
        self.challenges: dict[str, Challenge] = {}
        # Scopes that an endpoint asked for by itself, beside those we know a request needs.
        self.further: dict[tuple[str, Scopes], Scopes] = {}
        self._asking: dict[Hashable, tuple[asyncio.Lock, list[None]]] = {}

    @asynccontextmanager
    async def asking(self, key: Hashable) -> AsyncIterator[None]:
        """One task asks for a token while the others that need the same wait; nothing is kept once all have gone."""
        lock, present = self._asking.setdefault(key, (asyncio.Lock(), []))
        present.append(None)
        try:
            async with lock:
                yield
        finally:
            present.pop()
            if not present:
                del self._asking[key]


class Authority:
    """The `Authorization` of requests to one endpoint, in the name of one set of credentials."""

    def __init__(self, wire: Wire, knowledge: Knowledge, endpoint: Endpoint, credentials: Credentials) -> None:
        self._wire = wire
        self._knowledge = knowledge
        self._endpoint = endpoint
        self.credentials = credentials

    async def authorization(self, scopes: Scopes, *, demanded: bool) -> str | None:
        """The header for a request that needs `scopes`; None while the endpoint has not asked for any.

        Unless it was `demanded` for this very request, nobody in particular goes without: what a registry asked for once
        (on a push, say) it may not ask for elsewhere. Raises `Unauthorized` when credentials are wanted and there are none,
        or the token server refuses them.
        """
        if self.credentials.registry_token:
            return f"Bearer {self.credentials.registry_token}"
        asked = self._asked()
        if asked is None:
            return None
        if not demanded and self._anonymous:
            token = self._knowledge.tokens.get(asked, self._widened(scopes), self.credentials)
            return f"Bearer {token.value}" if token else None
        if asked.scheme == "basic":
            return await self._basic()
        return f"Bearer {(await self._token(asked, self._widened(scopes))).value}"

    def learn(self, headers: Sequence[str], scopes: Scopes, refused: str | None) -> bool:
        """Take in what a 401 to a request that carried `refused` asks for (its `WWW-Authenticate` headers).

        Returns whether a second try makes sense.
        """
        asked = challenges.choose(challenges.parse(headers))
        if asked is None or self.credentials.registry_token:
            return False
        before = self._asked()
        key = Challenge(asked.scheme, tuple((n, v) for n, v in asked.parameters if n in ("realm", "service")))
        self._knowledge.challenges[str(self._endpoint.base)] = key
        if asked.scheme == "basic":
            return refused is None or before != key
        if further := tokens.beyond(frozenset(asked.get("scope").split()), scopes):
            if len(self._knowledge.further) >= tokens.CACHE_LIMIT:
                self._knowledge.further.clear()  # learned again where it is needed
            self._knowledge.further[str(self._endpoint.base), scopes] = further
        self._knowledge.tokens.drop(key, self._widened(scopes), self.credentials)
        return True

    async def login(self) -> Token | None:
        """A fresh token together with an identity token, where the endpoint has asked for tokens."""
        asked = self._asked()
        if asked is None or asked.scheme != "bearer":
            return None
        return await self._fetch(asked, frozenset(), offline=True)

    def _asked(self) -> Challenge | None:
        return self._knowledge.challenges.get(str(self._endpoint.base))

    def _widened(self, scopes: Scopes) -> Scopes:
        return scopes | self._knowledge.further.get((str(self._endpoint.base), scopes), frozenset())

    @property
    def _anonymous(self) -> bool:
        known = self.credentials
        return not (known.username or known.password or known.identity_token or known.fetcher)

    async def _basic(self) -> str:
        known = await self._known()
        if not known.username and not known.password:
            raise Unauthorized("no basic auth credentials")
        return _basic(known.username, known.password)

    async def _known(self) -> Credentials:
        """The credentials themselves, asked for where somebody else has them."""
        fetcher = self.credentials.fetcher
        return self.credentials if fetcher is None else await fetcher.credentials()

    async def _token(self, asked: Challenge, scopes: Scopes) -> Token:
        cache = self._knowledge.tokens
        if token := cache.get(asked, scopes, self.credentials):
            return token
        async with self._knowledge.asking((asked, scopes, self.credentials)):
            if token := cache.get(asked, scopes, self.credentials):
                return token
            token = await self._fetch(asked, scopes, offline=False)
            cache.put(asked, scopes, self.credentials, token)
            return token

    async def _fetch(self, asked: Challenge, scopes: Scopes, *, offline: bool) -> Token:
        if (fetcher := self.credentials.fetcher) is not None:
            realm = tokens.realm(asked, verified=self._endpoint.verified)
            fetched = await fetcher.token(str(realm), asked.get("service"), sorted(scopes))
            if fetched is not None:
                return tokens.given(fetched, time.monotonic())
        known = await self._known()
        ways = tokens.asks(asked, scopes, known, verified=self._endpoint.verified, offline=offline)
        for way in ways[:-1]:
            if token := await self._ask(way, last=False):
                return token
        token = await self._ask(ways[-1], last=True)
        assert token is not None  # the last way gives one or raises
        return token

    async def _ask(self, way: Ask, *, last: bool) -> Token | None:
        faults.point("registry.token")
        request = Request(
            "GET" if way.form is None else "POST",
            way.url,
            self._endpoint.verified,
            _basic(*way.account) if way.account else None,
            _FORM if way.form is not None else {},
            way.form,
        )
        async with self._wire.send(request) as response:
            if response.status == 200:
                content = await read_limited(response, tokens.ANSWER_LIMIT, request.what)
                return tokens.read(content, time.monotonic(), time.time_ns())
            if not last and response.status in _UNKNOWN_WAY:
                return None
            refusal = refusals.read(response.status, response.headers, await read_start(response))
            raise refusals.error_of(refusal, request.what, refusals.patience_s(response.headers))


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
