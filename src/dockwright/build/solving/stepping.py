"""One step of a build: out of the cache, made by another build at this moment, or made."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import msgspec

from dockwright.build.cache.records import Tree
from dockwright.build.planning.graph import Copy, Execute, Vertex
from dockwright.build.progress import Step
from dockwright.build.progress import Work as Going
from dockwright.build.remote_cache import fetching
from dockwright.build.solving.earlier import Earlier
from dockwright.build.solving.inputs import Inputs, difference
from dockwright.build.solving.work import Change, Say, Site, Work, Worker
from dockwright.build.steps.running import StepFailed
from dockwright.image.leases import Lease
from dockwright.oci import ImageConfig, RootFS
from dockwright.oci import platform as platforms
from dockwright.units import rfc3339


@dataclass(frozen=True)
class Stepping:
    """The steps of one build. `records` has what each came to, by its key; `begun` what is under way or over."""

    worker: Worker
    work: Work
    steps: dict[Vertex, Step]
    records: dict[str, Tree]
    begun: set[Vertex]

    async def step(self, vertex: Vertex, inputs: Inputs, below: Tree, change: Change, *, linked: bool = False) -> Tree:
        """The tree of the step on top of `below`. `linked`: its layer is made on nothing, and the same on any base."""
        key, ground = inputs.key, Tree() if linked else below
        self.begun.add(vertex)
        with self.work.steps.step(self.steps[vertex]) as going:
            found = None
            if not self._is_fresh(vertex):
                found = await self._known(key) or await self._imported(vertex, key, ground, going)
            going.cached = found is not None
            if found is None:
                await self._explain(vertex, inputs, going)
                found = await self._shared(vertex, key, ground, change, going)
            if vertex.place:
                await self.worker.memory.keep_inputs(self._name(vertex), inputs)
            # The layers below are those of this build's base: equal files may have come in another blob.
            own, diff_ids = found.layers[len(ground.layers) :], found.diff_ids[len(ground.diff_ids) :]
            self.records[key] = tree = Tree((*below.diff_ids, *diff_ids), (*below.layers, *own))
            if linked:
                await self.worker.images.stack(self.work.lease, tree.diff_ids)
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
        fetched = await fetching.fetch(self.worker.images, self.work.lease, found, below, going)
        if fetched is None:
            return None
        await self.worker.cache.add(key, fetched[0], vertex.title, fetched[1])
        return fetched[0]

    async def earlier(self, vertex: Vertex, lease: Lease) -> Earlier | None:
        """What the step was when it was last done, where its layer is still there: `lease` holds it then."""
        if not vertex.place or self._is_fresh(vertex):
            return None
        before = await self.worker.memory.last_inputs(self._name(vertex))
        row = None if before is None else self.worker.cache.row(before.key)
        if before is None or row is None or not row.tree.diff_ids:
            return None
        tree = await self.worker.images.layer_directory(lease, row.tree.diff_ids)
        return None if tree is None else Earlier(before, tree)

    async def _explain(self, vertex: Vertex, inputs: Inputs, going: Going) -> None:
        """Say why the step is not taken from the cache, where that is asked for."""
        if vertex.place and self.work.explain:
            going.missed(difference(await self.worker.memory.last_inputs(self._name(vertex)), inputs))

    def _name(self, vertex: Vertex) -> str:
        """What the step is called in each build of the same thing."""
        return f"{self.work.name}|{vertex.place}"

    def _is_fresh(self, vertex: Vertex) -> bool:
        """Whether it is done whatever the cache has."""
        return self.work.no_cache or vertex in self.work.fresh

    async def _shared(self, vertex: Vertex, key: str, below: Tree, change: Change, going: Going) -> Tree:
        async with self.worker.flights.join(
            key, lambda tell: self._run(vertex, key, below, change, tell), going.say
        ) as made:
            await self.work.lease.hold_layers(made.diff_ids)
            return made

    @asynccontextmanager
    async def _run(self, vertex: Vertex, key: str, below: Tree, change: Change, say: Say) -> AsyncIterator[Tree]:
        worker = self.worker
        async with worker.images.lease() as lease:
            await lease.hold_layers(below.diff_ids)
            async with worker.slots.slot(), worker.runner.changed(below.chain) as (step_id, rootfs):
                try:
                    rest = await change(Site(step_id, rootfs, say, lease))
                except StepFailed as failed:
                    if self.work.keep_failed and isinstance(vertex, Execute):
                        await worker.runner.unmount(rootfs)
                        failed.image_id = await self._keep_failed(vertex, lease, step_id, below)
                    raise
                await worker.runner.unmount(rootfs)
                time_ns = self.time_ns(vertex)
                layer, size_bytes = await worker.images.layer(lease, step_id, below.diff_ids, time_ns, rest)
            tree = Tree((*below.diff_ids, layer.digest), (*below.layers, layer))
            await worker.cache.add(key, tree, vertex.title, size_bytes)
            yield tree

    async def _keep_failed(self, vertex: Execute, lease: Lease, step_id: str, below: Tree) -> str:
        """An image without a name, of the tree as the command has left it."""
        images, platform = self.worker.images, vertex.platform or platforms.host()
        layer, _ = await images.layer(lease, step_id, below.diff_ids, self.time_ns(vertex))
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

    def time_ns(self, vertex: Vertex) -> int | None:
        """The latest time of the files that `vertex` makes; None keeps their own."""
        work = self.work
        return work.time_ns if work.time_ns is None or work.one_time or vertex.latest_ns is None else vertex.latest_ns

    async def _known(self, key: str) -> Tree | None:
        row = self.worker.cache.find(key)
        if row is None:
            return None
        await self.work.lease.hold_layers(row.tree.diff_ids)
        return row.tree if self.worker.images.has_layers(row.tree.diff_ids) else None
