"""Solving a graph: every operation once, those that need nothing of each other at the same time, known results from the cache.

Two builds that come to the same step at the same time run it once: the second one waits for the first one's result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from dockwright.build.cache.records import Tree
from dockwright.build.planning.graph import (
    Base,
    Copy,
    Difference,
    Download,
    Edit,
    Execute,
    Local,
    MakeDirectory,
    Merge,
    Repository,
    Scratch,
    Vertex,
    in_order,
)
from dockwright.build.progress import Step
from dockwright.build.solving import places
from dockwright.build.solving.operations import Operations
from dockwright.build.solving.places import Origin, Place
from dockwright.build.solving.stepping import Stepping
from dockwright.build.solving.work import Solved, Work, Worker, layers
from dockwright.errors import DockwrightError, Unsupported
from dockwright.tasks import first


@dataclass
class Solving:
    """One build's way through its graph."""

    worker: Worker
    work: Work
    # What each step came to, by its key.
    records: dict[str, Tree] = field(default_factory=dict)
    _tasks: dict[Vertex, asyncio.Task[Solved]] = field(default_factory=dict)
    _steps: dict[Vertex, Step] = field(default_factory=dict)
    _begun: set[Vertex] = field(default_factory=set)
    _operations: Operations = field(init=False)
    # What was fetched stays until the build is over.
    _held: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        stepping = Stepping(self.worker, self.work, self._steps, self.records, self._begun)
        self._operations = Operations(self.worker, self.work, stepping)

    async def solve(self, *wanted: Vertex) -> list[Tree]:
        """The tree of each vertex. Raises what their steps raise; nothing of them goes on then."""
        self._plan(wanted)
        try:
            async with self._held, asyncio.TaskGroup() as group:
                return [layers(one) for one in await asyncio.gather(*(self._tree(each, group) for each in wanted))]
        except BaseExceptionGroup as failed:
            raise first(failed) from None

    def layers_of(self, vertex: Vertex) -> Tree:
        """What `vertex` came to, once `solve` is through with it."""
        return layers(self._tasks[vertex].result())

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
                return await self._operations.execute(vertex, known)
            case Copy():
                return await self._operations.copy(vertex, known)
            case MakeDirectory():
                return await self._operations.make_directory(vertex, known)
            case Edit():
                return await self._operations.edit(vertex, known)
            case Merge():
                return await self._stack(vertex, [layers(known[one]) for one in vertex.trees])
            case Difference():
                return await self._stack(
                    vertex, [_above(vertex, layers(known[vertex.lower]), layers(known[vertex.upper]))]
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
            return await places.found(vertex, self.worker.sources, self.work.lender, self._held)

    async def _stack(self, vertex: Vertex, trees: Sequence[Tree]) -> Tree:
        """Layers laid on each other that did not come so."""
        diff_ids = tuple(diff_id for tree in trees for diff_id in tree.diff_ids)
        stacked = Tree(diff_ids, tuple(layer for tree in trees for layer in tree.layers))
        self._begun.add(vertex)
        with self.work.steps.step(self._steps[vertex]) as going:
            await self.work.lease.hold_layers(diff_ids)
            going.cached = self.worker.images.has_layers(diff_ids)
            if not going.cached:
                await self.worker.images.stack(self.work.lease, diff_ids)
        return stacked

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
