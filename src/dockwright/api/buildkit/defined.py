"""Builds that a client defines in BuildKit's low-level language, as requests that the builder takes."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

import msgspec

from dockwright.api.buildkit import attributes, layouts, llb
from dockwright.api.buildkit.board import Teller, Text
from dockwright.api.buildkit.contexts import Contexts
from dockwright.api.buildkit.frontend import BaseImages, Prepared
from dockwright.api.buildkit.lending import SessionLender
from dockwright.api.buildkit.llb.sourcing import Attributes, Sources
from dockwright.api.buildkit.locals import Locals
from dockwright.api.buildkit.sessions import Sessions
from dockwright.api.buildkit.stores import ClientStore
from dockwright.build import BuildRequest, Context, Options, Steps
from dockwright.build.planning.graph import Local, Vertex
from dockwright.buildkit.filesync import Wanted
from dockwright.buildkit.proto.llb_pb2 import Definition
from dockwright.engine import Engine
from dockwright.errors import Invalid, Unsupported
from dockwright.ignoring import Patterns
from dockwright.image import Image
from dockwright.oci import ImageConfig, Platform


@dataclass(frozen=True)
class Defined:
    """Prepares what one client defines. What it finds is there until `stack` unwinds."""

    engine: Engine
    sessions: Sessions
    locals: Locals
    session_id: str
    lender: SessionLender
    teller: Teller
    stack: AsyncExitStack

    async def prepare(self, definition: Definition) -> Prepared:
        """Raises `Invalid` and `Unsupported` for what is wrong with the definition, and as its sources do."""
        files = self.engine.settings.builder.repositories_of_host
        sources = Sources(self._image, self._layout, self._local, files)
        plan = await llb.plan(llb.read(definition), sources, None)
        options = Options(platform=plan.platform)
        request = BuildRequest(options=options, lender=self.lender, plan=plan)
        folder = await self.stack.enter_async_context(self.engine.builder.place())
        return Prepared(request, Context(folder), self._images(""), Text("", "", b""))

    async def image_config(self, name: str, platform: Platform, mode: str) -> tuple[str, bytes]:
        """The digest and the configuration of the image `name`, pulled where it is missing. Raises as a pull does."""
        image = await self._images(mode).find(name, platform)
        config = bytearray()
        async with aclosing(self.engine.images.blob(image.variant.manifest.config)) as chunks:
            async for chunk in chunks:
                config += chunk
        return image.id, bytes(config)

    def _images(self, mode: str) -> BaseImages:
        asked = attributes.read({"image-resolve-mode": mode})
        return BaseImages(self.engine, asked, self.lender, Steps(self.teller.tell), whole=True)

    async def _image(self, name: str, platform: Platform, given: Attributes) -> Image:
        given.pop("image.recordtype", None)
        checksum = given.pop("image.checksum", "")
        if checksum and "@" not in name:
            name = f"{name}@{checksum}"
        return await self._images(given.pop("image.resolvemode", "")).find(name, platform)

    async def _layout(self, identifier: str, platform: Platform, given: Attributes) -> Image:
        store, digest = layouts.store_of(identifier)
        session_id = given.pop("oci.session", "") or self.session_id
        found = ClientStore(self.sessions, session_id, given.pop("oci.store", "") or store, digest)
        image = await self.stack.enter_async_context(layouts.taken(self.engine.images, found, platform))
        return await self.engine.images.resolve(image, platform)

    async def _local(self, name: str, given: Attributes) -> Vertex:
        """A directory of the client. How copies of it are named and compared is this engine's own affair."""
        for hint in ("local.unique", "local.sharedkeyhint", "local.differ"):
            given.pop(hint, None)
        session_id = given.pop("local.session", "") or self.session_id
        asked = attributes.read({f"local-sessionid:{name}": session_id})
        steps = Steps(self.teller.tell)
        contexts = Contexts(self.engine, self.sessions, self.locals, session_id, self.lender, steps, self.stack, asked)
        wanted = Wanted(
            name,
            include=_strings(given, "local.includepattern"),
            exclude=_strings(given, "local.excludepatterns"),
            follow=_strings(given, "local.followpaths"),
        )
        with steps.work(f"[internal] load {name}") as work:
            context = await contexts.copied(wanted, work, f"transferring {name}:", Patterns([]))
        return Local(title=f"local://{name}", context=context)


def _strings(given: Attributes, name: str) -> tuple[str, ...]:
    """A list of strings in JSON. Raises `Invalid`."""
    try:
        found = json.loads(given.pop(name, "") or "[]")
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Invalid(f"{name}: a JSON list of strings is wanted")
    return tuple(found)


def described(prepared: Prepared, config: bytes) -> Prepared:
    """With what the client says of the image beside its files: an image's configuration, JSON. Raises `Invalid`."""
    plan = prepared.request.plan
    if plan is None:
        raise Unsupported("containerimage.config: a Dockerfile says itself what its image is like")
    try:
        found = msgspec.json.decode(config, type=ImageConfig)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Invalid(f"containerimage.config: {error}") from None
    platform = plan.platform
    if found.os and found.architecture:
        platform = Platform(found.architecture, found.os, found.variant)
    said = replace(plan, config=found.run, history=found.history or (), author=found.author, platform=platform)
    return replace(prepared, request=replace(prepared.request, plan=said))
