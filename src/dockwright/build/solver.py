"""Solving a graph: every operation once, those that need nothing of each other at the same time, known results from the cache.

Two builds that come to the same step at the same time run it once: the second one waits for the first one's result.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from dockwright import faults, workers
from dockwright.build import edits, files, foreign, places
from dockwright.build.cache import Cache, Tree
from dockwright.build.context import Context
from dockwright.build.graph import (
    Base,
    Copy,
    Difference,
    Download,
    Edit,
    Execute,
    Local,
    MakeDirectory,
    Merge,
    MountOf,
    Repository,
    Scratch,
    Vertex,
    in_order,
)
from dockwright.build.inputs import Inputs, difference
from dockwright.build.lenders import LendsNothing
from dockwright.build.lending import Lender
from dockwright.build.mounting import Mounter
from dockwright.build.places import Origin, Place
from dockwright.build.progress import Step, Steps
from dockwright.build.progress import Work as Going
from dockwright.build.remote_cache import fetching
from dockwright.build.remote_cache.importing import Imported
from dockwright.build.running import Limits, Runner, StepFailed
from dockwright.build.sources import Sources
from dockwright.container.mounts import MountPoint
from dockwright.errors import DockwrightError, Unsupported
from dockwright.flights import Flights, Slots
from dockwright.image import Images
from dockwright.image.leases import Lease
from dockwright.oci import ImageConfig, RootFS
from dockwright.oci import platform as platforms
from dockwright.tasks import Background, first
from dockwright.units import rfc3339

# Steps of all builds that change files at the same time. Most of them wait for something else as often as they compute.
PARALLEL = max(4, 2 * (os.cpu_count() or 1))

# Layers, or files that lie somewhere.
Solved = Tree | Place
Say = Callable[[bytes], None]
Change = Callable[[str, Path, Say], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one build brings along. `time_ns` is the latest time that its files have; None keeps their own."""

    context: Context
    limits: Limits
    lease: Lease
    steps: Steps
    time_ns: int | None
    no_cache: bool = False
    lender: Lender = field(default_factory=LendsNothing)
    # What else is built whatever the cache has.
    fresh: frozenset[Vertex] = frozenset()
    # What this build and later ones of the same thing are called, so that they can be compared.
    name: str = ""
    explain: bool = False
    # `time_ns` is that of all stages, not of the last one alone.
    one_time: bool = False
    keep_failed: bool = False
    imported: Imported = field(default_factory=Imported)


class Solver:
    """What all builds of an engine share."""

    def __init__(
        self,
        images: Images,
        cache: Cache,
        runner: Runner,
        mounter: Mounter,
        sources: Sources,
        background: Background,
    ) -> None:
        self.images, self.cache, self.runner, self.mounter = images, cache, runner, mounter
        self.sources, self.memory = sources, cache.memory
        self.flights: Flights[str, Tree, [bytes]] = Flights(background)
        self.slots = Slots(PARALLEL)


@dataclass
class Solving:
    """One build's way through its graph."""

    solver: Solver
    work: Work
    # What each step came to, by its key.
    records: dict[str, Tree] = field(default_factory=dict)
    _tasks: dict[Vertex, asyncio.Task[Solved]] = field(default_factory=dict)
    _steps: dict[Vertex, Step] = field(default_factory=dict)
    _begun: set[Vertex] = field(default_factory=set)
    # What was fetched stays until the build is over.
    _held: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def solve(self, *wanted: Vertex) -> list[Tree]:
        """The tree of each vertex. Raises what their steps raise; nothing of them goes on then."""
        self._plan(wanted)
        try:
            async with self._held, asyncio.TaskGroup() as group:
                return [_layers(one) for one in await asyncio.gather(*(self._tree(each, group) for each in wanted))]
        except BaseExceptionGroup as failed:
            raise first(failed) from None

    def layers_of(self, vertex: Vertex) -> Tree:
        """What `vertex` came to, once `solve` is through with it."""
        return _layers(self._tasks[vertex].result())

    @property
    def origins(self) -> dict[Vertex, Origin]:
        """Where files came from that are no image's, once `solve` is through."""
        places = {vertex: task.result() for vertex, task in self._tasks.items()}
        return {
            vertex: place.origin
            for vertex, place in places.items()
            if isinstance(place, Place) and place.origin is not None
        }

    async def _tree(self, vertex: Vertex, group: asyncio.TaskGroup) -> Solved:
        if vertex not in self._tasks:
            self._tasks[vertex] = group.create_task(self._make(vertex, group))
        return await self._tasks[vertex]

    async def _make(self, vertex: Vertex, group: asyncio.TaskGroup) -> Solved:
        match vertex:
            case Scratch():
                return Tree()
            case Base():
                return await self._base(vertex)
            case Local() | Repository() | Download():
                return await self._place(vertex)
        inputs = await asyncio.gather(*(self._tree(one, group) for one in vertex.inputs))
        known = dict(zip(vertex.inputs, inputs, strict=True))
        try:
            return await self._do(vertex, known)
        except DockwrightError as error:
            if vertex not in self._begun:  # its inputs are at fault: it fails before it begins
                with self.work.steps.step(self._steps[vertex]):
                    raise error
            raise

    async def _do(self, vertex: Vertex, known: dict[Vertex, Solved]) -> Solved:
        match vertex:
            case Execute():
                return await self._execute(vertex, known)
            case Copy():
                return await self._copy(vertex, known)
            case MakeDirectory():
                return await self._make_directory(vertex, known)
            case Edit():
                return await self._edit(vertex, known)
            case Merge():
                return await self._stack(vertex, [_layers(known[one]) for one in vertex.trees])
            case Difference():
                return await self._stack(
                    vertex, [_above(vertex, _layers(known[vertex.lower]), _layers(known[vertex.upper]))]
                )
        raise Unsupported(f"{type(vertex).__name__} cannot be built")

    async def _base(self, vertex: Base) -> Tree:
        image = vertex.image
        tree = Tree(image.config.diff_ids, tuple(image.variant.manifest.layers or ()))
        with self.work.steps.step(self._steps[vertex]):
            await self.work.lease.hold([image.id])
            await self.work.lease.hold_layers(tree.diff_ids)
        return tree

    async def _place(self, vertex: Local | Repository | Download) -> Place:
        with self.work.steps.step(self._steps[vertex]):
            return await places.found(vertex, self.solver.sources, self.work.lender, self._held)

    async def _execute(self, vertex: Execute, known: dict[Vertex, Solved]) -> Tree:
        below = _layers(known[vertex.base])
        inputs = Inputs("exec")
        inputs.add("the base", below.chain)
        inputs.add("the command", vertex.arguments)
        for variable in vertex.env:
            name, _, value = variable.partition("=")
            inputs.add(f"the variable {name}", value)
        for mount in vertex.mounts:
            await self._add_mount(inputs, mount, known)
        inputs.add("the working directory", vertex.working_dir)
        inputs.add("the user", vertex.user)
        inputs.add("the script", vertex.script)
        inputs.add("the network", vertex.network)
        if vertex.hostname:
            inputs.add("the hostname", vertex.hostname)
        inputs.add("the security mode", vertex.security)
        inputs.add("the limits", self.work.limits)
        inputs.add("the latest time", self._time_ns(vertex))

        async def change(step_id: str, rootfs: Path, say: Say) -> None:
            if vertex.platform is not None and (why := await workers.quick(foreign.trouble, vertex.platform)):
                raise Unsupported(f"{vertex.title}: {why}")
            async with AsyncExitStack() as stack:
                points = [await self._mount(stack, mount, known) for mount in vertex.mounts]
                chosen = [point for point in points if point is not None]
                work = self.work
                await self.solver.runner.run(step_id, rootfs, vertex, chosen, work.limits, say, work.lender)

        return await self._step(vertex, inputs, below, change)

    async def _copy(self, vertex: Copy, known: dict[Vertex, Solved]) -> Tree:
        below = _layers(known[vertex.base])
        source = self._readable(None if vertex.source is None else known[vertex.source])
        remotes = [self._readable(known[one]) for one in vertex.remotes]
        async with AsyncExitStack() as stack:
            parts = places.pieces(vertex, source, remotes)
            inputs = Inputs("link" if vertex.link else "copy")
            # What is linked depends on the base only for the names of its users.
            named = vertex.link and not files.is_numeric(vertex.owner)
            if named or not vertex.link:
                inputs.add("the base", below.chain)
            inputs.add("the destination", vertex.destination)
            inputs.add("the owner", vertex.owner)
            inputs.add("the mode", vertex.mode)
            if vertex.whole or not vertex.follow:
                inputs.add("the way of copying", [vertex.whole, vertex.follow])
            for number, part in enumerate(parts):
                files_known = await part.look(stack, self.solver.memory)
                name = "the files" if not number else f"the files of {vertex.remotes[number - len(parts)].title}"
                inputs.add(name, files_known.digest, part.fingerprint)
                inputs.add(f"the looks of {name}", msgspec.structs.astuple(files_known)[1:])
            for document in vertex.inline:
                inputs.add(f"the file {document.name}", document.content)
            inputs.add("the latest time", self._time_ns(vertex))

            async def change(step_id: str, rootfs: Path, say: Say) -> None:
                users = await stack.enter_async_context(self.solver.mounter.shown(below)) if named else rootfs
                owner = await workers.quick(files.owner_of, vertex.owner, users)
                chosen = [await part.chosen(stack) for part in parts]
                landing = await workers.quick(files.land, vertex, [selected for _, selected in chosen], rootfs)
                time_ns = self._time_ns(vertex)
                for part, (tree, selected) in zip(parts, chosen, strict=True):
                    await workers.bulk(files.put, part.vertex, tree, selected, rootfs, landing, owner, time_ns)

            return await self._step(vertex, inputs, below, change, linked=vertex.link)

    async def _make_directory(self, vertex: MakeDirectory, known: dict[Vertex, Solved]) -> Tree:
        below = _layers(known[vertex.base])

        async def change(step_id: str, rootfs: Path, say: Say) -> None:
            await workers.quick(files.make_directory, rootfs, vertex.path, vertex.owner)

        inputs = Inputs("mkdir")
        inputs.add("the base", below.chain)
        inputs.add("the path", vertex.path)
        inputs.add("the owner", vertex.owner)
        inputs.add("the latest time", self._time_ns(vertex))
        return await self._step(vertex, inputs, below, change)

    async def _edit(self, vertex: Edit, known: dict[Vertex, Solved]) -> Tree:
        below = _layers(known[vertex.base])
        inputs = Inputs(type(vertex).__name__)
        inputs.add("the base", below.chain)
        for name, value in edits.asked(vertex).items():
            inputs.add(f"the {name}", value)
        inputs.add("the latest time", self._time_ns(vertex))

        async def change(step_id: str, rootfs: Path, say: Say) -> None:
            faults.point("build.edit")
            await workers.bulk(edits.apply, vertex, rootfs, self._time_ns(vertex))

        return await self._step(vertex, inputs, below, change)

    async def _stack(self, vertex: Vertex, trees: Sequence[Tree]) -> Tree:
        """Layers laid on each other that did not come so."""
        diff_ids = tuple(diff_id for tree in trees for diff_id in tree.diff_ids)
        stacked = Tree(diff_ids, tuple(layer for tree in trees for layer in tree.layers))
        self._begun.add(vertex)
        with self.work.steps.step(self._steps[vertex]) as going:
            await self.work.lease.hold_layers(diff_ids)
            going.cached = self.solver.images.has_layers(diff_ids)
            if not going.cached:
                await self.solver.images.stack(self.work.lease, diff_ids)
        return stacked

    async def _step(self, vertex: Vertex, inputs: Inputs, below: Tree, change: Change, *, linked: bool = False) -> Tree:
        """The tree of the step on top of `below`. `linked`: its layer is made on nothing, and the same on any base."""
        key, ground = inputs.key, Tree() if linked else below
        self._begun.add(vertex)
        with self.work.steps.step(self._steps[vertex]) as going:
            fresh = self.work.no_cache or vertex in self.work.fresh
            found = None if fresh else await self._known(key) or await self._imported(vertex, key, ground, going)
            going.cached = found is not None
            await self._explain(vertex, inputs, going)
            if found is None:
                found = await self._shared(vertex, key, ground, change, going)
            # The layers below are those of this build's base: equal files may have come in another blob.
            own, diff_ids = found.layers[len(ground.layers) :], found.diff_ids[len(ground.diff_ids) :]
            self.records[key] = tree = Tree((*below.diff_ids, *diff_ids), (*below.layers, *own))
            if linked:
                await self.solver.images.stack(self.work.lease, tree.diff_ids)
        return tree

    async def _imported(self, vertex: Vertex, key: str, below: Tree, going: Going) -> Tree | None:
        """What a cache from elsewhere has of the step. It is in ours from then on."""
        found = self.work.imported.find(key)
        if found is not None and isinstance(vertex, Copy) and vertex.link:
            found = replace(found, layers=found.layers[-1:])  # what it was linked to there is no matter
        if found is None and isinstance(vertex, Execute) and not vertex.reads_more:
            found = self.work.imported.find_by_history(below.chain, vertex.past)
        if found is None:
            return None
        fetched = await fetching.fetch(self.solver.images, self.work.lease, found, below, going)
        if fetched is None:
            return None
        await self.solver.cache.add(key, fetched[0], vertex.title, fetched[1])
        return fetched[0]

    async def _explain(self, vertex: Vertex, inputs: Inputs, going: Going) -> None:
        """Say why the step is not taken from the cache, where that is asked for, and remember what it reads."""
        if not vertex.place:
            return
        step, memory = f"{self.work.name}|{vertex.place}", self.solver.memory
        if self.work.explain and not going.cached:
            going.missed(difference(await memory.last_inputs(step), inputs))
        await memory.keep_inputs(step, inputs)

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
                try:
                    await change(step_id, rootfs, say)
                except StepFailed as failed:
                    if self.work.keep_failed and isinstance(vertex, Execute):
                        await solver.runner.unmount(rootfs)
                        failed.image_id = await self._keep_failed(vertex, lease, step_id, below)
                    raise
                await solver.runner.unmount(rootfs)
                layer, size_bytes = await solver.images.layer(lease, step_id, below.diff_ids, self._time_ns(vertex))
            tree = Tree((*below.diff_ids, layer.digest), (*below.layers, layer))
            await solver.cache.add(key, tree, vertex.title, size_bytes)
            yield tree

    async def _keep_failed(self, vertex: Execute, lease: Lease, step_id: str, below: Tree) -> str:
        """An image without a name, of the tree as the command has left it."""
        images, platform = self.solver.images, vertex.platform or platforms.host()
        layer, _ = await images.layer(lease, step_id, below.diff_ids, self._time_ns(vertex))
        run = msgspec.structs.replace(
            vertex.config, env=vertex.env, user=vertex.user, working_dir=vertex.working_dir, entrypoint=None, cmd=None
        )
        config = ImageConfig(
            platform.architecture,
            platform.os,
            rfc3339(time.time_ns()),
            variant=platform.variant,
            config=run,
            rootfs=RootFS(diff_ids=(*below.diff_ids, layer.digest)),
        )
        return (await images.assemble(lease, config, (*below.layers, layer), ())).id

    def _time_ns(self, vertex: Vertex) -> int | None:
        """The latest time of the files that `vertex` makes; None keeps their own."""
        work = self.work
        return work.time_ns if work.time_ns is None or work.one_time or vertex.latest_ns is None else vertex.latest_ns

    async def _known(self, key: str) -> Tree | None:
        row = self.solver.cache.find(key)
        if row is None:
            return None
        await self.work.lease.hold_layers(row.tree.diff_ids)
        return row.tree if self.solver.images.has_layers(row.tree.diff_ids) else None

    def _readable(self, source: Solved | None) -> Place:
        """Where the files of `source` can be read; None is the build's context."""
        if source is None:
            return places.of_context(self.work.context)
        if isinstance(source, Place):
            return source

        async def opened(stack: AsyncExitStack) -> files.Tree:
            return files.Tree(await stack.enter_async_context(self.solver.mounter.shown(source)))

        return Place(opened, source.chain or "nothing")

    async def _add_mount(self, inputs: Inputs, mount: MountOf, known: dict[Vertex, Solved]) -> None:
        what, name = mount.mount, f"the mount {mount.mount.target or mount.mount.env}"
        inputs.add(name, what)
        if mount.source is None and what.kind != "bind":
            return
        place = self._readable(None if mount.source is None else known[mount.source])
        if place.identity:
            inputs.add(f"the files of {name}", place.identity)
            return
        async with AsyncExitStack() as stack:
            tree = await place.opened(stack)
            found = await workers.bulk(files.fingerprint_of_path, tree, what.source)
            inputs.add(f"the files of {name}", found.digest, found)

    async def _mount(self, stack: AsyncExitStack, mount: MountOf, known: dict[Vertex, Solved]) -> MountPoint | None:
        source = None if mount.source is None else known[mount.source]
        if isinstance(source, Tree):
            return await self.solver.mounter.point(stack, mount.mount, source, None)
        needs = source is not None or mount.mount.kind == "bind"
        place = await self._readable(source).opened(stack) if needs else None
        return await self.solver.mounter.point(stack, mount.mount, None, place)

    def _plan(self, wanted: Sequence[Vertex]) -> None:
        for one in in_order(wanted):
            if not isinstance(one, Scratch):
                inputs = [self._steps[before] for before in one.inputs if before in self._steps]
                self._steps[one] = self.work.steps.make(one.title, inputs, one.lines, one.written)
        self.work.steps.plan(tuple(self._steps.values()))


def _above(vertex: Vertex, lower: Tree, upper: Tree) -> Tree:
    """The layers of `upper` beyond those of `lower`. Raises `Unsupported` where it does not stand on it."""
    count = len(lower.diff_ids)
    if upper.diff_ids[:count] != lower.diff_ids:
        raise Unsupported(f"{vertex.title}: diff: upper does not stand on the layers of lower")
    return Tree(upper.diff_ids[count:], upper.layers[count:])


def _layers(solved: Solved) -> Tree:
    assert isinstance(solved, Tree), "the planner makes layers of what a stage stands on"
    return solved
