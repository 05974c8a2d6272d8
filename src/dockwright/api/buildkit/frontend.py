"""The Dockerfile frontend: from what is asked for, over the client's directories, to a request that the builder takes."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from dockwright import workers
from dockwright.api.buildkit import frontends
from dockwright.api.buildkit.attributes import Asked
from dockwright.api.buildkit.board import Teller, Text
from dockwright.api.buildkit.contexts import Contexts, first
from dockwright.api.buildkit.lending import SessionLender
from dockwright.api.buildkit.locals import Locals
from dockwright.api.buildkit.sessions import Sessions
from dockwright.api.buildkit.stores import ClientStore
from dockwright.build import BuildRequest, Context, Steps, describing
from dockwright.build.dockerfile import parse
from dockwright.build.planning.reads import context_paths
from dockwright.build.remote_cache import CacheFrom, parse_from
from dockwright.credentials import Credentials
from dockwright.engine import Engine
from dockwright.errors import DockwrightError, Invalid, NotFound
from dockwright.image import Image
from dockwright.image.progress import Progress
from dockwright.oci import Platform, reference


class NeedsAll(DockwrightError):
    """A base image's triggers read the context: what the Dockerfile reads of it is not enough."""


@dataclass(frozen=True)
class Prepared:
    """A build that can begin. What it reads is there for as long as the stack that it was prepared on."""

    request: BuildRequest
    context: Context
    images: BaseImages
    text: Text


class BaseImages:
    """Finds base images for one build: pulls what is missing, and tells of it."""

    def __init__(self, engine: Engine, asked: Asked, lender: SessionLender, steps: Steps, *, whole: bool) -> None:
        self._engine, self._asked, self._lender, self._steps = engine, asked, lender, steps
        # The context is whole: triggers of base images may read of it what they want.
        self.whole = whole

    async def find(self, name: str, platform: Platform) -> Image:
        """As the builder's `FindImage`. Raises `NeedsAll`."""
        with self._steps.work(f"[internal] load metadata for {_full(name)}") as work:

            def told(one: Progress) -> None:
                if one.id and one.current is not None:
                    work.moved(f"{one.status.lower()} {one.id}", one.current, one.total or 0)

            async def ask() -> Credentials | None:
                return await self._lender.credential(reference.parse(name).domain)

            image = await self._engine.provide(name, self._asked.pull, ask, platform, told)
        if image.config.run.on_build and not self.whole:
            raise NeedsAll
        return image


class Frontend:
    """Prepares builds of one client."""

    def __init__(
        self,
        engine: Engine,
        sessions: Sessions,
        locals_: Locals,
        session_id: str,
        lender: SessionLender,
        teller: Teller,
    ) -> None:
        self._engine, self._sessions, self._locals = engine, sessions, locals_
        self._session_id, self._lender = session_id, lender
        self._steps = Steps(teller.tell)
        # Once it was read.
        self.text: Text | None = None

    async def prepare(self, stack: AsyncExitStack, asked: Asked, *, whole: bool = False) -> Prepared:
        """Fetch the Dockerfile and what it reads, or the `whole` context.

        Raises `DockerfileError`, `NotFound`, and as `Locals.synced` and `Sources.context`.
        """
        contexts = self._contexts(stack, asked)
        remote = await contexts.remote() if contexts.is_here else None
        text, own_ignore = await self._dockerfile(contexts, remote)
        dockerfile = parse(text.data, asked.filename)
        frontends.check_syntax(dockerfile, asked.options.arguments)
        paths = context_paths(dockerfile)
        whole = whole or remote is not None or paths is None
        images = BaseImages(self._engine, asked, self._lender, self._steps, whole=whole)
        context = remote
        if context is None:
            ignored = await contexts.ignored("context", own_ignore, "[internal] load .dockerignore")
            context = await contexts.main(ignored, None if whole else paths)
        request = BuildRequest(
            dockerfile=asked.filename,
            text=text.data,
            options=asked.options,
            no_cache=asked.no_cache,
            limits=asked.limits,
            lender=self._lender,
            platforms=asked.platforms,
            index=bool(asked.platforms),
            attestations=asked.attestations,
            cache_from=tuple(self._cache_from(one) for one in asked.cache_imports),
            contexts=await contexts.named(),
            explain=asked.flag("dockwright:explain"),
            keep_failed=asked.flag("dockwright:keep-failed"),
            keep_times=asked.flag("dockwright:keep-times"),
        )
        return Prepared(request, context, images, text)

    async def describe(self, stack: AsyncExitStack, asked: Asked, request: str) -> dict[str, bytes]:
        """Answer a question about the Dockerfile, `frontend.outline` say. Raises as `describing.answer`."""
        contexts = self._contexts(stack, asked)
        remote = await contexts.remote() if contexts.is_here else None
        text, own_ignore = await self._dockerfile(contexts, remote)
        if remote is not None:
            ignored = remote.ignored
        else:
            ignored = await contexts.ignored("context", own_ignore, "[internal] load .dockerignore")
        bases = await describing.known(text.data, asked.options, self._engine.images.resolve)
        return describing.answer(
            request, text.data, name=asked.filename, options=asked.options, ignored=ignored, bases=bases
        )

    def _cache_from(self, attributes: Mapping[str, str]) -> CacheFrom:
        def place(source: str, tag: str, digest: str) -> ClientStore:
            return ClientStore(self._sessions, self._session_id, f"local:{source}", digest)

        return parse_from(attributes, place)

    def _contexts(self, stack: AsyncExitStack, asked: Asked) -> Contexts:
        return Contexts(
            self._engine, self._sessions, self._locals, self._session_id, self._lender, self._steps, stack, asked
        )

    async def _dockerfile(self, contexts: Contexts, remote: Context | None) -> tuple[Text, bytes]:
        """The Dockerfile, and the ignore file that goes with it alone."""
        asked = contexts.asked
        name = asked.filename
        folder, last = posixpath.split(name)
        names = [name, posixpath.join(folder, "dockerfile")] if last == "Dockerfile" else [name]
        with self._steps.work(f"[internal] load build definition from {last}") as work:
            if "dockerfile" in asked.trees:
                root = asked.trees["dockerfile"]
            elif remote is not None and not asked.text("dockerfilekey"):
                root = remote.root
            else:
                root = await contexts.dockerfile(work)
            data = await workers.quick(first, root, names)
            if data is None:
                raise NotFound(f"failed to read dockerfile: open {name}: no such file or directory")
            ignore = await workers.quick(first, root, [f"{name}.dockerignore"])
        self.text = Text(work.step.id, name, data)
        return self.text, ignore or b""


def _full(name: str) -> str:
    try:
        return str(reference.parse(name))
    except Invalid:
        return name
