"""Builds under way, by the name that their client gave them, and what all of them share."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec

from dockwright.api.buildkit import attributes, failures, frontends, llb
from dockwright.api.buildkit.arrivals import Arrivals
from dockwright.api.buildkit.attributes import Asked
from dockwright.api.buildkit.board import Board, Teller
from dockwright.api.buildkit.defined import Defined, described
from dockwright.api.buildkit.frontend import Frontend, NeedsAll, Prepared
from dockwright.api.buildkit.lending import SessionLender
from dockwright.api.buildkit.locals import Locals
from dockwright.api.buildkit.records import Recording, Records
from dockwright.api.buildkit.sessions import Sessions
from dockwright.build import BuildRequest, Built
from dockwright.build.outputs import Output, ToStore
from dockwright.build.progress import Missed
from dockwright.build.remote_cache import CacheTo
from dockwright.buildkit.proto.control_pb2 import StatusResponse
from dockwright.buildkit.proto.llb_pb2 import Definition, Input, Op, OpMetadata, SourceOp
from dockwright.buildkit.proto.llb_pb2 import Platform as WirePlatform
from dockwright.engine import Engine
from dockwright.errors import Conflict, DockwrightError, HostFailure, Invalid, NotFound
from dockwright.oci import digest as digests
from dockwright.oci import platform as platforms

_INPUT = "input:"
# What inputs of a frontend may take the place of, under the names that it has for them.
_DIRECTORIES = ("context", "dockerfile")
_RESULT = "dockwright-result://"
ENDED_KNOWN = 1000
EXPLAINED = "dockwright.explain"


@dataclass
class Ref:
    """A result that a build function holds: a build that has not run yet, or has."""

    id: str
    job: Job
    prepared: Prepared
    # What a Dockerfile's build was asked for, and by what it is prepared anew; None of a definition.
    asked: tuple[Frontend, Asked] | None = None
    image_id: str = ""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


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
    entitlements: frozenset[str] = frozenset()
    cache_to: Sequence[CacheTo] = ()
    # What the client gave along for its build function.
    inputs: Mapping[str, Definition] = field(default_factory=dict)
    # What is noted of it for later.
    recording: Recording | None = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    returned: asyncio.Future[Returned] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Buildkit:
    """What BuildKit's clients share: their sessions and their builds."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.sessions = Sessions()
        self.records = Records(engine.builder.history)
        self._locals = Locals(engine.builder.sources.shelf, engine.parts.background)
        self._jobs: Arrivals[Job] = Arrivals()
        # Results that another build may ask for, and how many jobs want the images of some.
        self._refs: dict[str, Ref] = {}
        self._wanted: Counter[str] = Counter()
        self._cancelled: dict[str, set[asyncio.Event]] = {}
        # Builds that are over, of which some are not recorded.
        self._ended: deque[str] = deque(maxlen=ENDED_KNOWN)

    @asynccontextmanager
    async def solving(self, solve_id: str, session_id: str) -> AsyncIterator[Job]:
        """A build that can be found by its name for as long as the context lasts. Raises `Conflict`."""
        if solve_id in self._jobs:
            raise Conflict(f"build {solve_id} already exists")
        job = Job(solve_id, session_id=session_id)
        try:
            with self._jobs.present(solve_id, job):
                async with job.stack:
                    yield job
        finally:
            self._ended.append(solve_id)
            job.board.end()
            if not job.returned.cancel() and not job.returned.cancelled():
                job.returned.exception()  # retrieved: nobody may be left to hear it

    @contextmanager
    def cancelling(self, build_id: str) -> Iterator[asyncio.Event]:
        """What is set when the build of this name is to be cancelled, for as long as the context lasts."""
        cancelled = asyncio.Event()
        self._cancelled.setdefault(build_id, set()).add(cancelled)
        try:
            yield cancelled
        finally:
            self._cancelled[build_id].discard(cancelled)
            if not self._cancelled[build_id]:
                del self._cancelled[build_id]

    def cancel(self, build_id: str) -> None:
        """End builds by the name that their client gave them beside the one they are found by. Unknown names are fine."""
        for cancelled in self._cancelled.get(build_id, ()):
            cancelled.set()

    async def find(self, solve_id: str) -> Job:
        """The build, waited for a while: clients ask about it while they ask for it. Raises `NotFound`."""
        try:
            return await self._jobs.wait(solve_id)
        except TimeoutError:
            raise NotFound(f"no such job {solve_id}") from None

    async def statuses(self, solve_id: str) -> AsyncGenerator[StatusResponse, None]:
        """What a build says: one that goes on, has ended, or begins in a while. Raises `NotFound`.

        A client asks for a build and for its status at once: a short build may be over when the second call comes.
        """
        said: Sequence[StatusResponse] | None = None
        if solve_id not in self._jobs:
            said = await self.records.statuses(solve_id)
        if said is None and solve_id not in self._jobs and solve_id in self._ended:  # meanwhile, or without a record
            said = await self.records.statuses(solve_id) or ()
        if said is not None:
            for status in said:
                yield status
            return
        job = await self.find(solve_id)
        async with aclosing(job.board.statuses()) as statuses:
            async for status in statuses:
                yield status

    async def solve(
        self, job: Job, frontend: str, given: Mapping[str, str], inputs: Mapping[str, Definition] | None = None
    ) -> Returned:
        """What a frontend is asked for: a build that can run, or an answer.

        `inputs` are results of other builds by the name that contexts call them. Raises the status of a call that fails.
        """
        if job.recording is not None:
            job.recording.asked(frontend, given)
        teller = job.board.teller()
        maker = Frontend(self.engine, self.sessions, self._locals, job.session_id, self._lender(job), teller)
        try:
            frontends.check(frontend, given)
            asked = await self._with_inputs(job, attributes.read(given), inputs or {})
            if request := asked.text("requestid"):
                return Returned([], await maker.describe(job.stack, asked, request))
            prepared = await maker.prepare(job.stack, asked)
        except DockwrightError as error:
            raise failures.of(error, maker.text, teller) from error
        return Returned([self._keep(Ref(secrets.token_hex(12), job, prepared, (maker, asked)))], {})

    async def define(self, job: Job, definition: Definition) -> Ref:
        """What a definition of the client's is about: a build that can run, or one that it was given.

        Raises the status of a call that fails.
        """
        if (ref_id := result_of(definition)) is not None:
            if ref_id not in self._refs:
                raise NotFound(f"there is no such result: {ref_id}")
            job.refs[ref_id] = self._refs[ref_id]
            return self._refs[ref_id]
        teller = job.board.teller()
        try:
            prepared = await self._defined(job, teller).prepare(definition)
        except DockwrightError as error:
            raise failures.of(error, None, teller) from error
        return self._keep(Ref(secrets.token_hex(12), job, prepared))

    async def image_config(self, job: Job, name: str, platform: WirePlatform, mode: str) -> tuple[str, bytes]:
        """The digest and the configuration of an image. Raises as a pull does."""
        wanted = llb.platform_of(platform) or platforms.host()
        return await self._defined(job, job.board.teller()).image_config(name, wanted, mode)

    def _defined(self, job: Job, teller: Teller) -> Defined:
        sessions, session_id = self.sessions, job.session_id
        return Defined(self.engine, sessions, self._locals, session_id, self._lender(job), teller, job.stack)

    def _keep(self, ref: Ref) -> Ref:
        """Let other builds find it for as long as its own lasts."""
        ref.job.refs[ref.id] = self._refs[ref.id] = ref
        ref.job.stack.callback(self._refs.pop, ref.id)
        return ref

    def _lender(self, job: Job) -> SessionLender:
        return SessionLender(self.sessions, job.session_id, self.engine.settings.exec_root / "agents")

    @asynccontextmanager
    async def shown(self, job: Job, ref: Ref) -> AsyncIterator[Path]:
        """Where the files of a result lie, to be read for as long as the context lasts. It runs, if it did not yet."""
        image = await self.engine.images.resolve(await self.evaluate(job, ref))
        async with self.engine.builder.shown(image.config.diff_ids) as root:
            yield root

    async def _with_inputs(self, job: Job, asked: Asked, inputs: Mapping[str, Definition]) -> Asked:
        """With images in place of results of other builds, and with what takes the place of the client's directories."""
        contexts, trees = dict(asked.contexts), dict[str, Path]()
        for name, value in contexts.items():
            if value.startswith(_INPUT):
                if value.removeprefix(_INPUT) not in inputs:
                    raise Invalid(f"the context {name}: there is no such result: {value}")
                ref = await self.define(job, inputs[value.removeprefix(_INPUT)])
                contexts[name] = f"docker-image://{await self.evaluate(job, ref)}"
        for name in _DIRECTORIES:
            if name in inputs:
                ref = await self.define(job, inputs[name])
                trees[name] = await job.stack.enter_async_context(self.shown(job, ref))
        return replace(asked, contexts=contexts, trees=trees)

    async def run(self, job: Job, ref: Ref, outputs: Sequence[Output], config: bytes = b"") -> Built:
        """Run a build; `config` is what the client says of the image. Raises the status of a call that fails."""
        teller = job.board.teller(ref.prepared.text)
        try:
            if config:
                ref = replace(ref, prepared=described(ref.prepared, config))
            try:
                return await self._build(job, ref, outputs, teller)
            except NeedsAll:
                assert ref.asked is not None, "a definition reads all that it names"
                frontend, asked = ref.asked
                ref.prepared = await frontend.prepare(job.stack, asked, whole=True)
                return await self._build(job, ref, outputs, teller)
        except DockwrightError as error:
            raise failures.of(error, ref.prepared.text, teller) from error

    async def evaluate(self, job: Job, ref: Ref) -> str:
        """Run a build, of `job` or another one, whose result is wanted without a name; the image's ID.

        An image that had no name before goes with the last job that wanted it. Raises the status of a call that fails.
        """
        async with ref.turn:
            if not ref.image_id:
                built = await self.run(ref.job, ref, [ToStore()])
                if built.image_id is None:
                    raise HostFailure("the build ended without an image")
                ref.image_id = built.image_id
        self._wanted[ref.image_id] += 1
        job.stack.push_async_callback(self._let_go, ref.image_id)
        return ref.image_id

    async def _let_go(self, image_id: str) -> None:
        """Remove an image that has no name, as far as nobody uses it."""
        self._wanted[image_id] -= 1
        if self._wanted[image_id]:
            return
        del self._wanted[image_id]
        images = self.engine.images
        with suppress(NotFound, Conflict):
            if not (await images.resolve(image_id)).names:
                await images.remove(image_id)

    async def _build(self, job: Job, ref: Ref, outputs: Sequence[Output], teller: Teller) -> Built:
        prepared = ref.prepared
        request = replace(prepared.request, outputs=outputs, entitlements=job.entitlements, cache_to=job.cache_to)
        missed: list[dict[str, object]] = []
        async with aclosing(self.engine.builder.build(request, prepared.context, prepared.images.find)) as progress:
            async for one in progress:
                if isinstance(one, Missed):
                    missed.append({**asdict(one), "step": one.title, "reason": one.text})
                if isinstance(one, Built):
                    if job.recording is not None:
                        job.recording.attestations = list(one.attestations)
                    return replace(one, response={**one.response, **_explained(request, missed)})
                teller.tell(one)
                await job.board.room()
        raise HostFailure("the build ended without a result")


def _explained(request: BuildRequest, missed: list[dict[str, object]]) -> dict[str, str]:
    """What our own command line asks for: why steps were built anew."""
    return {EXPLAINED: msgspec.json.encode(missed).decode()} if request.explain else {}


def definition_of(ref: Ref) -> Definition:
    """The result as others may pass it on: one source, which only we understand."""
    op = Op(source=SourceOp(identifier=_RESULT + ref.id)).SerializeToString(deterministic=True)
    # As every definition, it ends with an operation that names what it is about.
    last = Op(inputs=[Input(digest=digests.of(op))]).SerializeToString(deterministic=True)
    definition = Definition(metadata={str(digests.of(one)): OpMetadata() for one in (op, last)})
    getattr(definition, "def").extend((op, last))
    return definition


def result_of(definition: Definition) -> str | None:
    """The id of the result that `definition` is; None for any other. Raises `Invalid`."""
    program = llb.read(definition)
    result = program.ops.get(program.result)
    if result is None or not result.source.identifier.startswith(_RESULT):
        return None
    return result.source.identifier.removeprefix(_RESULT)
