"""Builds under way, by the name that their client gave them, and what all of them share."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

from dockwright.api.buildkit import attributes, failures
from dockwright.api.buildkit.attributes import Asked
from dockwright.api.buildkit.board import Board, Teller
from dockwright.api.buildkit.frontend import Frontend, NeedsAll, Prepared
from dockwright.api.buildkit.lending import SessionLender
from dockwright.api.buildkit.locals import Locals
from dockwright.api.buildkit.sessions import Sessions
from dockwright.build import Built
from dockwright.build.outputs import Output
from dockwright.engine import Engine
from dockwright.errors import Conflict, DockwrightError, HostFailure, NotFound, Unsupported

# The frontends that are ours. `gateway.v0` runs an image that is a frontend: Docker's own Dockerfile frontend is what ours is.
_DOCKERFILE, _GATEWAY = "dockerfile.v0", "gateway.v0"
_IMAGES = ("docker/dockerfile", "docker.io/docker/dockerfile", "docker/dockerfile-upstream")
WAIT_LIMIT_S = 10.0


@dataclass
class Ref:
    """A result that a build function holds: a build that has not run yet, or has."""

    id: str
    asked: Asked
    frontend: Frontend
    prepared: Prepared


@dataclass
class Returned:
    """What a build function gives back: results, and what it says about them."""

    refs: list[Ref]
    metadata: Mapping[str, bytes]


@dataclass
class Job:
    """One build. `returned` is what the client's build function gives back, where it has one."""

    id: str
    board: Board = field(default_factory=Board)
    refs: dict[str, Ref] = field(default_factory=dict)
    session_id: str = ""
    begun: bool = False
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    returned: asyncio.Future[Returned] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Buildkit:
    """What BuildKit's clients share: their sessions and their builds."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sessions = Sessions()
        self._locals = Locals(engine.settings.data_root / "build" / "locals", engine.parts.background)
        self._jobs: dict[str, Job] = {}
        self._news = asyncio.Event()

    @asynccontextmanager
    async def solving(self, solve_id: str, session_id: str) -> AsyncIterator[Job]:
        """A build that can be found by its name for as long as the context lasts. Raises `Conflict`."""
        if solve_id in self._jobs:
            raise Conflict(f"build {solve_id} already exists")
        job = self._jobs[solve_id] = Job(solve_id, session_id=session_id)
        waiting, self._news = self._news, asyncio.Event()
        waiting.set()
        try:
            async with job.stack:
                yield job
        finally:
            del self._jobs[solve_id]
            job.board.end()
            job.returned.cancel()

    async def find(self, solve_id: str) -> Job:
        """The build, waited for a while: clients ask about it while they ask for it. Raises `NotFound`."""
        try:
            async with asyncio.timeout(WAIT_LIMIT_S):
                while solve_id not in self._jobs:
                    await self._news.wait()
        except TimeoutError:
            raise NotFound(f"no such job {solve_id}") from None
        return self._jobs[solve_id]

    async def prepare(self, job: Job, frontend: str, given: Mapping[str, str]) -> Ref:
        """Make what a frontend is asked for a build that can run. Raises the status of a call that fails."""
        teller = job.board.teller()
        lender = SessionLender(self.sessions, job.session_id, self.engine.settings.exec_root / "agents")
        maker = Frontend(self.engine, self.sessions, self._locals, job.session_id, lender, teller)
        try:
            _check_frontend(frontend, given)
            asked = attributes.read(given)
            prepared = await maker.prepare(job.stack, asked)
        except DockwrightError as error:
            raise failures.of(error, maker.text, teller) from error
        ref = Ref(secrets.token_hex(12), asked, maker, prepared)
        job.refs[ref.id] = ref
        return ref

    async def run(self, job: Job, ref: Ref, outputs: Sequence[Output]) -> Built:
        """Run a build. Raises the status of a call that fails."""
        teller = job.board.teller(ref.prepared.text)
        try:
            try:
                return await self._build(job, ref, outputs, teller)
            except NeedsAll:
                ref.prepared = await ref.frontend.prepare(job.stack, ref.asked, whole=True)
                return await self._build(job, ref, outputs, teller)
        except DockwrightError as error:
            raise failures.of(error, ref.prepared.text, teller) from error

    async def _build(self, job: Job, ref: Ref, outputs: Sequence[Output], teller: Teller) -> Built:
        prepared = ref.prepared
        request = replace(prepared.request, outputs=outputs)
        async with aclosing(self.engine.builder.build(request, prepared.context, prepared.images.find)) as progress:
            async for one in progress:
                if isinstance(one, Built):
                    return one
                teller.tell(one)
                await job.board.room()
        raise HostFailure("the build ended without a result")


def _check_frontend(frontend: str, given: Mapping[str, str]) -> None:
    if frontend == _GATEWAY:
        source = given.get("source", "")
        name = source.partition("@")[0].partition(":")[0]
        if name not in _IMAGES:
            raise Unsupported(f"the frontend image {source!r} is not supported: this engine reads Dockerfiles itself")
    elif frontend != _DOCKERFILE:
        raise Unsupported(f"the frontend {frontend!r} is not supported: there is {_DOCKERFILE}")
