"""The Dockerfile frontend: from what is asked for, over the client's directories, to a request that the builder takes."""

from __future__ import annotations

import posixpath
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path

from dockwright import workers
from dockwright.api.buildkit.attributes import Asked
from dockwright.api.buildkit.board import Teller, Text
from dockwright.api.buildkit.lending import SessionLender
from dockwright.api.buildkit.locals import Locals
from dockwright.api.buildkit.sessions import Session, Sessions
from dockwright.build import BuildRequest, Context, Steps
from dockwright.build.dockerfile import Dockerfile, parse
from dockwright.build.progress import Work
from dockwright.build.reads import context_paths
from dockwright.buildkit.filesync import Wanted
from dockwright.engine import Engine
from dockwright.errors import Invalid, NotFound, Unsupported
from dockwright.ignoring import Patterns, read_ignore_file
from dockwright.image import Image
from dockwright.oci import Platform, reference


class NeedsAll(Invalid):
    """A base image's triggers read the context: what the Dockerfile reads of it is not enough."""


@dataclass(frozen=True)
class Prepared:
    """A build that can begin. What it reads is there for as long as the stack that it was prepared on."""

    request: BuildRequest
    context: Context
    images: BaseImages
    text: Text
    dockerfile: Dockerfile


class BaseImages:
    """Finds base images for one build: pulls what is missing, and tells of it."""

    def __init__(self, engine: Engine, asked: Asked, lender: SessionLender, steps: Steps) -> None:
        self._engine, self._asked, self._lender, self._steps = engine, asked, lender, steps
        self._whole = False

    def whole_context(self) -> None:
        """The context is whole: triggers of base images may read of it what they want."""
        self._whole = True

    async def find(self, name: str, platform: Platform) -> Image:
        """As the builder's `FindImage`. Raises `NeedsAll`."""
        with self._steps.work(f"[internal] load metadata for {_full(name)}") as work:
            image = await self._find(name, platform, work)
        if image.config.run.on_build and not self._whole:
            raise NeedsAll
        return image

    async def _find(self, name: str, platform: Platform, work: Work) -> Image:
        images = self._engine.images
        if self._asked.pull == "missing":
            try:
                return await images.resolve(name, platform)
            except NotFound:
                pass
        credentials = await self._lender.credential(reference.parse(name).domain)
        async with aclosing(images.pull(name, platform=platform, credentials=credentials)) as progress:
            async for one in progress:
                if one.id and one.current is not None:
                    work.moved(f"{one.status.lower()} {one.id}", one.current, one.total or 0)
        return await images.resolve(name, platform)


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

        Raises `DockerfileError`, `NotFound`, and as `Locals.synced`.
        """
        remote = asked.text(asked.text("contextkey", "context"))
        if remote:
            raise Unsupported(f"a context from {remote} is not supported by this release")
        text, own_ignore = await self._dockerfile(stack, asked)
        self.text = text
        dockerfile = parse(text.data, asked.filename)
        images = BaseImages(self._engine, asked, self._lender, self._steps)
        ignored, lines = await self._ignored(stack, asked, own_ignore)
        root = await self._context(stack, asked, lines, None if whole else context_paths(dockerfile), images)
        request = BuildRequest(
            dockerfile=asked.filename,
            text=text.data,
            options=asked.options,
            no_cache=bool(asked.no_cache),
            limits=asked.limits,
            lender=self._lender,
            platforms=asked.platforms,
        )
        return Prepared(request, Context(root, ignored), images, text, dockerfile)

    async def _dockerfile(self, stack: AsyncExitStack, asked: Asked) -> tuple[Text, bytes]:
        name = asked.filename
        follow = [name, f"{name}.dockerignore"]
        folder, last = posixpath.split(name)
        lower = posixpath.join(folder, "dockerfile") if last == "Dockerfile" else ""
        wanted = Wanted(asked.text("dockerfilekey", "dockerfile"), follow=tuple(filter(None, [*follow, lower])))
        with self._steps.work(f"[internal] load build definition from {last}") as work:
            root = await self._synced(stack, asked, wanted, work, "transferring dockerfile:")
            data = await workers.quick(_first, root, [name, lower])
            if data is None:
                raise NotFound(f"failed to read dockerfile: open {name}: no such file or directory")
            ignore = await workers.quick(_first, root, [f"{name}.dockerignore"])
        return Text(work.step.id, name, data), ignore or b""

    async def _ignored(self, stack: AsyncExitStack, asked: Asked, own: bytes) -> tuple[Patterns, tuple[str, ...]]:
        text: bytes | None = own
        with self._steps.work("[internal] load .dockerignore") as work:
            if not own:
                wanted = Wanted("context", follow=(".dockerignore",))
                root = await self._synced(stack, asked, wanted, work, "transferring context:")
                text = await workers.quick(_first, root, [".dockerignore"])
        lines = (text or b"").decode(errors="replace")
        patterns = read_ignore_file(lines)
        return patterns, tuple(patterns.lines)

    async def _context(
        self,
        stack: AsyncExitStack,
        asked: Asked,
        exclude: tuple[str, ...],
        paths: frozenset[str] | None,
        images: BaseImages,
    ) -> Path:
        with self._steps.work("[internal] load build context") as work:
            follow = tuple(sorted(paths)) if paths is not None else ()
            if paths is None:
                images.whole_context()
            # Nothing is read: a path that is never there leaves everything out.
            wanted = Wanted(
                "context", exclude=exclude, follow=follow if follow or paths is None else (".dockerignore",)
            )
            return await self._synced(stack, asked, wanted, work, "transferring context:")

    async def _synced(self, stack: AsyncExitStack, asked: Asked, wanted: Wanted, work: Work, part: str) -> Path:
        session = await self._session(asked, wanted.name)
        work.moved(part)

        def moved(size_bytes: int) -> None:
            work.moved(part, size_bytes)

        root = await stack.enter_async_context(self._locals.synced(session, wanted, moved))
        work.moved(part, ended=True)
        return root

    async def _session(self, asked: Asked, name: str) -> Session:
        return await self._sessions.find(asked.text(f"local-sessionid:{name}", self._session_id))


def _first(root: Path, names: list[str]) -> bytes | None:
    for name in filter(None, names):
        try:
            return Context(root).read(name)
        except NotFound:
            continue
    return None


def _full(name: str) -> str:
    try:
        return str(reference.parse(name))
    except Invalid:
        return name
