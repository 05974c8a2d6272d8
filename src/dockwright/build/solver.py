"""Solving a graph: every operation once, those that need nothing of each other at the same time, known results from the cache.

Two builds that come to the same step at the same time run it once: the second one waits for the first one's result.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from dockwright import workers
from dockwright.build import files, foreign
from dockwright.build.cache import Cache, Tree
from dockwright.build.context import Context
from dockwright.build.graph import Base, Copy, Execute, MakeDirectory, MountOf, Scratch, Vertex
from dockwright.build.lenders import LendsNothing
from dockwright.build.lending import Lender
from dockwright.build.mounting import Mounter
from dockwright.build.progress import Step, Steps
from dockwright.build.progress import Work as Going
from dockwright.build.running import Limits, Runner
from dockwright.container.mounts import MountPoint
from dockwright.errors import Unsupported
from dockwright.flights import Flights, Slots
from dockwright.image import Images
from dockwright.image.leases import Lease
from dockwright.oci import digest as digests
from dockwright.tasks import Background, first

PARALLEL = 4

Say = Callable[[bytes], None]
Change = Callable[[str, Path, Say], Awaitable[None]]


@dataclass(frozen=True)
class Work:
    """What one build brings along. `time_ns` is the latest time that its files have; None keeps their own."""

    context: Context
    limits: Limits
    lease: Lease
    steps: Steps
    time_ns: int | None
    no_cache: bool = False
    lender: Lender = field(default_factory=LendsNothing)


class Solver:
    """What all builds of an engine share."""

    def __init__(self, images: Images, cache: Cache, runner: Runner, mounter: Mounter, background: Background) -> None:
        self.images, self.cache, self.runner, self.mounter = images, cache, runner, mounter
        self.flights: Flights[str, Tree, [bytes]] = Flights(background)
        self.slots = Slots(PARALLEL)


@dataclass
class Solving:
    """One build's way through its graph."""

    solver: Solver
    work: Work
    _tasks: dict[Vertex, asyncio.Task[Tree]] = field(default_factory=dict)
    _steps: dict[Vertex, Step] = field(default_factory=dict)

    async def solve(self, *wanted: Vertex) -> list[Tree]:
        """The tree of each vertex. Raises what their steps raise; nothing of them goes on then."""
        self._plan(wanted)
        try:
            async with asyncio.TaskGroup() as group:
                return list(await asyncio.gather(*(self._tree(vertex, group) for vertex in wanted)))
        except BaseExceptionGroup as failed:
            raise first(failed) from None

    async def _tree(self, vertex: Vertex, group: asyncio.TaskGroup) -> Tree:
        if vertex not in self._tasks:
            self._tasks[vertex] = group.create_task(self._make(vertex, group))
        return await self._tasks[vertex]

    async def _make(self, vertex: Vertex, group: asyncio.TaskGroup) -> Tree:
        match vertex:
            case Scratch():
                return Tree()
            case Base():
                return await self._base(vertex)
        inputs = await asyncio.gather(*(self._tree(one, group) for one in vertex.inputs))
        known = dict(zip(vertex.inputs, inputs, strict=True))
        match vertex:
            case Execute():
                return await self._execute(vertex, known)
            case Copy():
                return await self._copy(vertex, known)
            case MakeDirectory():
                return await self._make_directory(vertex, known)
        raise Unsupported(f"{type(vertex).__name__} cannot be built")

    async def _base(self, vertex: Base) -> Tree:
        image = vertex.image
        tree = Tree(image.config.diff_ids, tuple(image.variant.manifest.layers or ()))
        with self.work.steps.step(self._steps[vertex]):
            await self.work.lease.hold([image.id])
            await self.work.lease.hold_layers(tree.diff_ids)
        return tree

    async def _execute(self, vertex: Execute, known: dict[Vertex, Tree]) -> Tree:
        below = known[vertex.base]
        mounts = [await self._mount_key(mount, known) for mount in vertex.mounts]
        said = (vertex.arguments, vertex.env, vertex.working_dir, vertex.user, vertex.script, vertex.network)
        key = _key("exec", below.chain, *said, vertex.security, mounts, self.work.limits, self.work.time_ns)

        async def change(step_id: str, rootfs: Path, say: Say) -> None:
            if vertex.platform is not None and (why := await workers.quick(foreign.trouble, vertex.platform)):
                raise Unsupported(f"{vertex.title}: {why}")
            async with AsyncExitStack() as stack:
                points = [await self._mount(stack, mount, known) for mount in vertex.mounts]
                chosen = [point for point in points if point is not None]
                work = self.work
                await self.solver.runner.run(step_id, rootfs, vertex, chosen, work.limits, say, work.lender)

        return await self._step(vertex, key, below, change)

    async def _copy(self, vertex: Copy, known: dict[Vertex, Tree]) -> Tree:
        below = known[vertex.base]
        async with AsyncExitStack() as stack:
            tree = await self._files(stack, None if vertex.source is None else known[vertex.source])
            selected = await workers.bulk(files.select, vertex, tree)
            content = await workers.bulk(files.digest, vertex, tree, selected)
            documents = [(document.name, document.content) for document in vertex.inline]
            looks = (vertex.owner, vertex.mode, selected.single, len(selected.archives), vertex.source is None)
            key = _key("copy", below.chain, vertex.destination, content, documents, *looks, self.work.time_ns)

            async def change(step_id: str, rootfs: Path, say: Say) -> None:
                await workers.bulk(files.put, vertex, tree, selected, rootfs, self.work.time_ns)

            return await self._step(vertex, key, below, change)

    async def _make_directory(self, vertex: MakeDirectory, known: dict[Vertex, Tree]) -> Tree:
        below = known[vertex.base]

        async def change(step_id: str, rootfs: Path, say: Say) -> None:
            await workers.quick(files.make_directory, rootfs, vertex.path, vertex.owner)

        key = _key("mkdir", below.chain, vertex.path, vertex.owner, self.work.time_ns)
        return await self._step(vertex, key, below, change)

    async def _step(self, vertex: Vertex, key: str, below: Tree, change: Change) -> Tree:
        with self.work.steps.step(self._steps[vertex]) as going:
            found = None if self.work.no_cache else await self._known(key)
            going.cached = found is not None
            if found is None:
                found = await self._shared(vertex, key, below, change, going)
        # The layers below are those of this build's base: equal files may have come in another blob.
        return Tree(found.diff_ids, (*below.layers, *found.layers[len(below.layers) :]))

    async def _shared(self, vertex: Vertex, key: str, below: Tree, change: Change, going: Going) -> Tree:
        async with self.solver.flights.join(
            key, lambda tell: self._run(vertex, key, below, change, tell), going.say
        ) as made:
            await self.work.lease.hold_layers(made.diff_ids)
            return made

    @asynccontextmanager
    async def _run(self, vertex: Vertex, key: str, below: Tree, change: Change, say: Say) -> AsyncIterator[Tree]:
        solver = self.solver
        async with solver.images.lease() as lease:
            await lease.hold_layers(below.diff_ids)
            async with solver.slots.slot(), solver.runner.changed(below.chain) as (step_id, rootfs):
                await change(step_id, rootfs, say)
                layer, size_bytes = await solver.images.layer(lease, step_id, below.diff_ids, self.work.time_ns)
            tree = Tree((*below.diff_ids, layer.digest), (*below.layers, layer))
            await solver.cache.add(key, tree, vertex.title, size_bytes)
            yield tree

    async def _known(self, key: str) -> Tree | None:
        row = self.solver.cache.find(key)
        if row is None:
            return None
        await self.work.lease.hold_layers(row.tree.diff_ids)
        return row.tree if self.solver.images.has_layers(row.tree.diff_ids) else None

    async def _files(self, stack: AsyncExitStack, tree: Tree | None) -> files.Tree:
        if tree is None:
            return files.Tree(self.work.context.root, self.work.context.leaves_out, keeps_owners=False)
        return files.Tree(await stack.enter_async_context(self.solver.mounter.shown(tree)))

    async def _mount_key(self, mount: MountOf, known: dict[Vertex, Tree]) -> object:
        if mount.source is not None:
            return mount.mount, known[mount.source].chain
        if mount.mount.kind != "bind":
            return mount.mount
        context = self.work.context
        return mount.mount, await workers.bulk(files.digest_of_path, context, mount.mount.source)

    async def _mount(self, stack: AsyncExitStack, mount: MountOf, known: dict[Vertex, Tree]) -> MountPoint | None:
        tree = None if mount.source is None else known[mount.source]
        return await self.solver.mounter.point(stack, mount.mount, tree, self.work.context)

    def _plan(self, wanted: Sequence[Vertex]) -> None:
        for one in _in_order(wanted):
            if not isinstance(one, Scratch):
                inputs = [self._steps[before] for before in one.inputs if before in self._steps]
                self._steps[one] = self.work.steps.make(one.title, inputs, one.lines)
        self.work.steps.plan(tuple(self._steps.values()))


def _in_order(wanted: Sequence[Vertex]) -> list[Vertex]:
    """All that vertices need and themselves, each after what it needs."""
    found: dict[Vertex, None] = {}
    left = [(vertex, False) for vertex in reversed(wanted)]
    while left:
        one, inputs_done = left.pop()
        if one in found:
            continue
        if inputs_done:
            found[one] = None
        else:
            left.append((one, True))
            left += [(before, False) for before in reversed(one.inputs)]
    return list(found)


def _key(kind: str, *parts: object) -> str:
    return digests.of(msgspec.json.encode([kind, *parts], order="deterministic"))
