"""What each operation reads, which is its key, and how it is done."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

import msgspec

from dockwright import faults, workers
from dockwright.build.cache.records import Tree
from dockwright.build.planning.graph import Copy, Edit, Execute, MakeDirectory, MountOf, Vertex
from dockwright.build.solving import copying, edits, foreign, owners, places, selecting
from dockwright.build.solving.earlier import Shared
from dockwright.build.solving.inputs import Inputs
from dockwright.build.solving.places import Place
from dockwright.build.solving.stepping import Stepping
from dockwright.build.solving.work import Rest, Site, Solved, Work, Worker, layers
from dockwright.container.mounts import MountPoint
from dockwright.errors import Unsupported


@dataclass(frozen=True)
class Operations:
    """The operations of one build. Each is done on the trees `known` of the vertices that it needs."""

    worker: Worker
    work: Work
    stepping: Stepping

    async def execute(self, vertex: Execute, known: dict[Vertex, Solved]) -> Tree:
        """A command."""
        below = layers(known[vertex.base])
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
        inputs.add("the latest time", self.stepping.time_ns(vertex))

        async def change(site: Site) -> None:
            if vertex.platform is not None and (why := await workers.quick(foreign.trouble, vertex.platform)):
                raise Unsupported(f"{vertex.title}: {why}")
            async with AsyncExitStack() as stack:
                points = [await self._mount(stack, mount, known) for mount in vertex.mounts]
                chosen = [point for point in points if point is not None]
                work = self.work
                runner = self.worker.runner
                await runner.run(site.step_id, site.rootfs, vertex, chosen, work.limits, site.say, work.lender)

        return await self.stepping.step(vertex, inputs, below, change)

    async def copy(self, vertex: Copy, known: dict[Vertex, Solved]) -> Tree:
        """Files of other trees, of contexts, of elsewhere."""
        below = layers(known[vertex.base])
        source = self._readable(None if vertex.source is None else known[vertex.source])
        remotes = [self._readable(known[one]) for one in vertex.remotes]
        async with AsyncExitStack() as stack:
            parts = places.pieces(vertex, source, remotes)
            inputs = Inputs("link" if vertex.link else "copy")
            # What is linked depends on the base only for the names of its users.
            named = vertex.link and not owners.is_numeric(vertex.owner)
            if named or not vertex.link:
                inputs.add("the base", below.chain)
            inputs.add("the destination", vertex.destination)
            inputs.add("the owner", vertex.owner)
            inputs.add("the mode", vertex.mode)
            if vertex.whole or not vertex.follow:
                inputs.add("the way of copying", [vertex.whole, vertex.follow])
            for number, part in enumerate(parts):
                files_known = await part.look(stack, self.worker.memory)
                name = places.FILES if not number else f"the files of {vertex.remotes[number - len(parts)].title}"
                inputs.add(name, files_known.digest, part.fingerprints)
                inputs.add(f"the looks of {name}", msgspec.structs.astuple(files_known)[1:])
            for document in vertex.inline:
                inputs.add(f"the file {document.name}", document.content)
            inputs.add("the latest time", self.stepping.time_ns(vertex))

            async def change(site: Site) -> Rest | None:
                rootfs = site.rootfs
                users = await stack.enter_async_context(self.worker.mounter.shown(below)) if named else rootfs
                owner = await workers.quick(owners.owner_of, vertex.owner, users)
                chosen = [await part.chosen(stack) for part in parts]
                landing = await workers.quick(copying.land, vertex, [selected for _, selected in chosen], rootfs)
                time_ns = self.stepping.time_ns(vertex)
                before = await self.stepping.earlier(vertex, site.lease) if len(parts) == 1 else None
                same = Shared()
                if before is not None:
                    same = await workers.bulk(parts[0].shared, before, inputs, landing, time_ns)
                for part, (tree, selected) in zip(parts, chosen, strict=True):
                    await workers.bulk(
                        copying.put, part.vertex, tree, selected, rootfs, landing, owner, time_ns, same.names
                    )
                await workers.quick(same.prepare, rootfs)
                return same.link

            return await self.stepping.step(vertex, inputs, below, change, linked=vertex.link)

    async def make_directory(self, vertex: MakeDirectory, known: dict[Vertex, Solved]) -> Tree:
        """A directory that is there."""
        below = layers(known[vertex.base])

        async def change(site: Site) -> None:
            await workers.quick(copying.make_directory, site.rootfs, vertex.path, vertex.owner)

        inputs = Inputs("mkdir")
        inputs.add("the base", below.chain)
        inputs.add("the path", vertex.path)
        inputs.add("the owner", vertex.owner)
        inputs.add("the latest time", self.stepping.time_ns(vertex))
        return await self.stepping.step(vertex, inputs, below, change)

    async def edit(self, vertex: Edit, known: dict[Vertex, Solved]) -> Tree:
        """A single change."""
        below = layers(known[vertex.base])
        inputs = Inputs(type(vertex).__name__)
        inputs.add("the base", below.chain)
        for name, value in edits.asked(vertex).items():
            inputs.add(f"the {name}", value)
        inputs.add("the latest time", self.stepping.time_ns(vertex))

        async def change(site: Site) -> None:
            faults.point("build.edit")
            await workers.bulk(edits.apply, vertex, site.rootfs, self.stepping.time_ns(vertex))

        return await self.stepping.step(vertex, inputs, below, change)

    def _readable(self, source: Solved | None) -> Place:
        """Where the files of `source` can be read; None is the build's context."""
        if source is None:
            return places.of_context(self.work.context)
        if isinstance(source, Place):
            return source

        async def opened(stack: AsyncExitStack) -> selecting.Tree:
            return selecting.Tree(await stack.enter_async_context(self.worker.mounter.shown(source)))

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
            found = await workers.bulk(selecting.fingerprints_at, tree, what.source)
            inputs.add(f"the files of {name}", selecting.digest_of(found), found)

    async def _mount(self, stack: AsyncExitStack, mount: MountOf, known: dict[Vertex, Solved]) -> MountPoint | None:
        source = None if mount.source is None else known[mount.source]
        if isinstance(source, Tree):
            return await self.worker.mounter.point(stack, mount.mount, source, None)
        needs = source is not None or mount.mount.kind == "bind"
        place = await self._readable(source).opened(stack) if needs else None
        return await self.worker.mounter.point(stack, mount.mount, None, place)
