"""Images from elsewhere and to elsewhere: pull, import, bootstrap, push, and what registries tell."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import Any

import msgspec
from aiohttp import web

from dockwright.api import fetching, parameters, progress
from dockwright.api.call import Call, decode
from dockwright.api.filters import Filters
from dockwright.api.render.progress import messages
from dockwright.api.router import Router
from dockwright.credentials import Credentials, from_document
from dockwright.distribution import SearchFilters, summarize
from dockwright.distribution.searching import DEFAULT_LIMIT
from dockwright.errors import Corrupt, Forbidden, HostFailure, Invalid, NotFound, Unauthorized
from dockwright.oci import reference
from dockwright.units import natural

ROUTER = Router()
_SEARCH_FILTERS = ("is-automated", "is-official", "stars")


@ROUTER.add("POST", "/images/create")
async def create(call: Call) -> web.StreamResponse:
    if call.text("fromImage"):
        return await progress.tell(call, _pull(call))
    if call.text("fromSrc"):
        return await progress.tell(call, _import(call))
    raise Invalid("either fromImage or fromSrc is needed")


def _pull(call: Call) -> AsyncGenerator[progress.Message, None]:
    # `pull -a` of old clients sends the name with a colon and nothing behind it.
    name = parameters.named(call.text("fromImage").removesuffix(":"), call.text("tag"))
    pulling = call.engine.images.pull(
        str(name),
        all_tags=not (name.tag or name.digest),
        platform=parameters.platform(call),
        credentials=parameters.credentials(call),
    )
    return _without_a_login(messages(pulling))


async def _without_a_login(
    told: AsyncGenerator[progress.Message, None],
) -> AsyncGenerator[progress.Message, None]:
    """A transfer with the statuses dockerd gives: at a 401 Docker's client would ask for a password, and wait for it."""
    async with aclosing(told):
        try:
            async for message in told:
                yield message
        except Unauthorized as error:
            raise HostFailure(str(error)) from error
        except Forbidden as error:
            raise NotFound(str(error)) from error


async def _import(call: Call) -> AsyncGenerator[progress.Message, None]:
    if call.text("fromSrc") == "-":
        yield {"status": await _imported(call, call.chunks(), "-")}
        return
    source = fetching.address(call.text("fromSrc"))
    async with aclosing(fetching.fetch(source)) as fetched:
        first = await anext(fetched, b"")  # what cannot be fetched at all is told before anything else
        yield {"status": f"Downloading from {fetching.shown(source)}"}
        yield {"status": await _imported(call, _joined(first, fetched), fetching.shown(source))}


async def _imported(call: Call, stream: AsyncIterable[bytes], origin: str) -> str:
    repository, tag = call.text("repo"), call.text("tag")
    try:
        return await call.engine.images.import_(
            stream,
            f"{repository}:{tag}" if repository and tag else repository,
            message=call.text("message") or f"Imported from {origin}",
            changes=call.request.query.getall("changes", ()),
            platform=parameters.platform(call),
        )
    except Corrupt as error:  # it came with the request: the caller's fault
        raise Invalid(f"the archive cannot be read: {error}") from error


async def _joined(first: bytes, rest: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


@ROUTER.add("POST", "/images/bootstrap")
async def bootstrap(call: Call) -> web.StreamResponse:
    """Not Docker's: a base image out of a distribution's signed archive (`name=debian:bookworm`)."""
    if not call.text("name"):
        raise Invalid("name is needed: a distribution and its release, as debian:bookworm")
    steps = call.engine.images.bootstrap(
        call.text("name"),
        tag=call.text("tag"),
        mirror=call.text("mirror"),
        archive_date=call.text("archive-date"),
        packages=call.request.query.getall("package", ()),
    )
    return await progress.tell(call, messages(steps))


@ROUTER.add("POST", "/images/{name:path}/push")
async def push(call: Call) -> web.StreamResponse:
    name = parameters.named(call["name"], call.text("tag"))
    credentials = parameters.credentials(call) or await _credentials_of_body(call)
    pushing = call.engine.images.push(
        str(name),
        all_tags=not (name.tag or name.digest),
        platform=parameters.platform(call),
        credentials=credentials,
    )
    return await progress.tell(call, _without_a_login(messages(pushing)))


async def _credentials_of_body(call: Call) -> Credentials | None:
    """Where clients of the first API versions say who they are."""
    raw = await call.body()
    found = from_document(decode(raw, dict[str, Any])) if raw.strip() else Credentials()
    return None if found.empty else found


@ROUTER.add("POST", "/auth")
async def auth(call: Call) -> web.StreamResponse:
    body = await call.json(dict[str, Any])
    server = body.get("serveraddress", "")
    if not isinstance(server, str):
        raise Invalid("invalid credentials: serveraddress is not a string")
    login = await call.engine.registries.login(server, from_document(body))
    return call.answer({"Status": login.status, "IdentityToken": login.identity_token})


@ROUTER.add("GET", "/distribution/{name:path}/json")
async def inspect(call: Call) -> web.StreamResponse:
    name = reference.parse(call["name"]).tagged
    repository = call.engine.registries.repository(name, parameters.credentials(call))
    found = await summarize(repository, name.digest or name.tag or "")
    return call.answer({"Descriptor": found.descriptor, "Platforms": found.platforms})


@ROUTER.add("GET", "/images/search")
async def search(call: Call) -> web.StreamResponse:
    if not call.text("term"):
        raise Invalid("term is needed: what to search for")
    filters = Filters.parse(call.text("filters"), _SEARCH_FILTERS)
    found = await call.engine.registries.search(
        call.text("term"),
        limit=call.number("limit") or DEFAULT_LIMIT,
        filters=SearchFilters(filters.flag("is-official"), filters.flag("is-automated"), _stars(filters)),
        credentials=parameters.credentials(call),
    )
    return call.answer([msgspec.structs.replace(one, description=one.description or "") for one in found])


def _stars(filters: Filters) -> int:
    given = [natural(text) for text in filters.get("stars")]
    if None in given:
        raise Invalid(f"invalid filter 'stars={','.join(filters.get('stars'))[:64]}'")
    return max(filter(None, given), default=0)
