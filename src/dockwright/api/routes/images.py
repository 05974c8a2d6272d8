"""Images on this host: load, save, list, inspect, history, tag, remove, prune, compare, and commit."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp import web

from dockwright.api import parameters, progress
from dockwright.api.call import Call, decode
from dockwright.api.filters import Filters
from dockwright.api.router import Router
from dockwright.container import Config, imagemounts
from dockwright.container.committing import commit
from dockwright.engine import Engine
from dockwright.errors import Corrupt, Invalid
from dockwright.image import ImageUser
from dockwright.oci import Digest
from dockwright.undo import shielded

ROUTER = Router()
_LIST_FILTERS = ("before", "dangling", "label", "label!", "reference", "since", "until")
_PRUNE_FILTERS = ("dangling", "label", "label!", "until")


def _users(engine: Engine) -> list[ImageUser]:
    return [
        ImageUser(Digest(image_id), container.id, container.alive)
        for container in engine.containers.all()
        for image_id in dict.fromkeys((container.record.spec.image_id, *imagemounts.images(container.record)))
    ]


def _users_by_image(engine: Engine) -> dict[Digest, list[str]]:
    found: dict[Digest, list[str]] = {}
    for user in _users(engine):
        found.setdefault(user.image_id, []).append(user.container_id)
    return found


@ROUTER.add("POST", "/images/load")
async def load(call: Call) -> web.StreamResponse:
    return await progress.tell(call, _loaded(call))


async def _loaded(call: Call) -> AsyncGenerator[progress.Message, None]:
    async with aclosing(call.engine.images.load(call.chunks(), parameters.platforms(call) or None)) as lines:
        try:
            async for line in lines:
                yield {"stream": line}
        except Corrupt as error:  # it came with the request: the caller's fault
            raise Invalid(f"the archive cannot be read: {error}") from error


async def _save(call: Call, names: list[str]) -> web.StreamResponse:
    if not names:
        raise Invalid("no images were named")
    for name in names:
        await call.engine.images.resolve(name)
    async with aclosing(call.engine.images.save(names, parameters.platforms(call) or None)) as stream:
        first = await anext(stream, b"")
        response = await call.stream("application/x-tar")
        await response.write(first)
        async for chunk in stream:
            await response.write(chunk)
        await response.write_eof()
    return response


@ROUTER.add("GET", "/images/get")
async def save_several(call: Call) -> web.StreamResponse:
    given = call.request.query.getall("names", [])
    return await _save(call, [name for entry in given for name in entry.split(",") if name])


@ROUTER.add("GET", "/images/{name:path}/get")
async def save_one(call: Call) -> web.StreamResponse:
    return await _save(call, [call["name"]])


@ROUTER.add("GET", "/images/json")
async def listing(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.text("filters"), _LIST_FILTERS)
    found = await call.engine.images.list_(
        {name: filters.get(name) for name in _LIST_FILTERS if filters.get(name)},
        intermediate=call.flag("all"),
        shared_size=call.flag("shared-size"),
        manifests=call.flag("manifests"),
        users=_users_by_image(call.engine),
    )
    return call.answer(found)


@ROUTER.add("POST", "/images/prune")
async def prune(call: Call) -> web.StreamResponse:
    filters = Filters.parse(call.text("filters"), _PRUNE_FILTERS)
    chosen = {name: filters.get(name) for name in _PRUNE_FILTERS if filters.get(name)}
    return call.answer(await shielded(call.engine.images.prune(chosen, _users(call.engine)), limit_s=None))


@ROUTER.add("GET", "/images/{name:path}/json")
async def inspect(call: Call) -> web.StreamResponse:
    found = await call.engine.images.inspect(
        call["name"],
        parameters.platform(call),
        manifests=call.flag("manifests"),
        users=_users_by_image(call.engine),
    )
    return call.answer(found)


@ROUTER.add("GET", "/images/{name:path}/history")
async def history(call: Call) -> web.StreamResponse:
    return call.answer(await call.engine.images.history(call["name"], parameters.platform(call)))


@ROUTER.add("GET", "/images/{name:path}/compare")
async def compare(call: Call) -> web.StreamResponse:
    """Not Docker's: how the image `with` differs from `name`, in files and packages."""
    if not call.text("with"):
        raise Invalid("with is needed: the image to compare with")
    return call.answer(await call.engine.images.compare(call["name"], call.text("with"), parameters.platform(call)))


@ROUTER.add("POST", "/images/{name:path}/tag")
async def tag(call: Call) -> web.StreamResponse:
    repository, label = call.text("repo"), call.text("tag")
    await shielded(call.engine.images.tag(call["name"], f"{repository}:{label}" if label else repository))
    return call.empty(201)


@ROUTER.add("DELETE", "/images/{name:path}")
async def remove(call: Call) -> web.StreamResponse:
    removing = call.engine.images.remove(
        call["name"],
        force=call.flag("force"),
        prune=not call.flag("noprune"),
        users=_users(call.engine),
        platforms=parameters.platforms(call, "platforms"),
    )
    return call.answer(await shielded(removing, limit_s=None))


@ROUTER.add("POST", "/commit")
async def make(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call.text("container"))
    raw = await call.body()
    repository, label = call.text("repo"), call.text("tag")
    image_id = await commit(
        container,
        f"{repository}:{label}" if repository and label else repository,
        config=decode(raw, Config) if raw.strip() not in (b"", b"null") else None,
        author=call.text("author"),
        comment=call.text("comment"),
        changes=tuple(call.request.query.getall("changes", ())),
        pause=call.flag("pause", default=True),
    )
    return call.answer({"Id": image_id}, 201)
