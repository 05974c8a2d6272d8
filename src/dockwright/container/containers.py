"""All containers of an engine: create, find, list, prune; and what the daemon does with them when it starts and ends."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
from pathlib import Path

from dockwright import faults, workers
from dockwright.container import (
    creating,
    endpoints,
    hostfiles,
    initlayer,
    linking,
    links,
    mounting,
    mounts,
    names,
    populating,
    restart,
    starting,
)
from dockwright.container.container import Container
from dockwright.container.execs import Exec
from dockwright.container.parts import Parts
from dockwright.container.record import Record, Specification, State
from dockwright.container.state import Status
from dockwright.errors import Conflict, DockwrightError, Invalid, NotFound
from dockwright.runtime import strays
from dockwright.runtime.conmon import exit_file, read_exit_code
from dockwright.undo import UndoStack, shielded

LOST_EXIT_CODE = 255


class Containers:
    """The index of containers by id and name."""

    def __init__(self, parts: Parts) -> None:
        self.parts = self._parts = parts
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, Container] = {}
        #: By target, who has legacy links to it.
        self._linkers: dict[str, set[str]] = {}

    # -- find ------------------------------------------------------------------------------------------------------

    def all(self) -> list[Container]:
        """Every container, newest first."""
        return sorted(self._by_id.values(), key=lambda container: container.record.spec.created_ns, reverse=True)

    def get(self, reference: str) -> Container:
        """By id, name, unique prefix of an id, or what a linked container calls it (`LINKER/ALIAS`).

        Raises `NotFound`, `Invalid` for an ambiguous prefix.
        """
        if found := self._by_id.get(reference) or self._by_name.get(reference.removeprefix("/")):
            return found
        if "/" in reference.removeprefix("/") and (found := self._linked(reference)):
            return found
        matches = [container for key, container in self._by_id.items() if reference and key.startswith(reference)]
        if len(matches) > 1:
            raise Invalid(f"Multiple IDs found with provided prefix: {reference}")
        if not matches:
            raise NotFound(f"No such container: {reference}")
        return matches[0]

    def get_exec(self, exec_id: str) -> Exec:
        """An exec of any container. Raises `NotFound`."""
        for container in self._by_id.values():
            if found := container.execs.get(exec_id):
                return found
        raise NotFound(f"No such exec instance: {exec_id}")

    def using_image(self, image_id: str) -> list[Container]:
        """The containers made from an image."""
        return [container for container in self._by_id.values() if container.record.spec.image_id == image_id]

    # -- create ----------------------------------------------------------------------------------------------------

    async def create(self, request: creating.Request) -> tuple[Container, list[str]]:
        """A new container, and warnings for a person.

        Raises `NotFound` (image), `Conflict` (name), `Invalid`, `Unsupported`. A failed or cancelled create leaves nothing.
        """
        parts, config, host = self._parts, request.config, request.host
        name = names.validate(request.name) if request.name else ""
        if name:
            self._check_free(name)
        image = await parts.images.resolve(config.image, request.platform or None)
        creating.check_request(request)
        creating.merge_image(config, image.config.run)
        creating.apply_defaults(parts, config, host)
        warnings = await workers.quick(creating.validate, parts, config, host)
        if host.links and host.network_mode in ("default", "bridge"):
            host.links = links.resolve(host.links, self.record_of)
        asked = endpoints.normalise(parts.networks, host, request.endpoints)
        for kind in ("network_mode", "pid_mode", "ipc_mode"):
            setattr(host, kind, self._with_id(getattr(host, kind)))
        container_id = secrets.token_hex(32)
        if not config.hostname and not host.network_mode.startswith("container:") and host.network_mode != "host":
            config.hostname = container_id[:12]
        if host.network_mode.startswith("container:"):
            donor = self.get(host.network_mode.partition(":")[2]).record
            # One network, one name: what /etc/hosts of both tells.
            config.hostname, config.domainname = hostfiles.hostname(donor), donor.spec.config.domainname
        points = mounts.resolve(config, host, lambda other: self.get(other).record.spec.points)
        record = Record(
            container_id,
            name,
            Specification(time.time_ns(), image.id, config, host, asked, points),
            State(),
        )
        async with UndoStack() as undo:
            faults.point("create.volumes")
            undo.push_undo(self._undo_volumes, record)
            await mounting.claim_volumes(parts, container_id, points)
            faults.point("create.snapshot")
            undo.push_undo(self._undo_snapshot, container_id)
            await self._prepare(container_id, image.snapshot)
            await populating.populate(parts, container_id, points)
            faults.point("create.persist")
            container = await self._insert(record, generated=not name)
            undo.release()
        await container.tell("create")
        return container, warnings

    async def _prepare(self, container_id: str, parent: str | None) -> None:
        below = await initlayer.on_top_of(self._parts, parent)
        try:
            await self._parts.snapshots.prepare(container_id, below)
        except NotFound:  # a collection came between
            below = await initlayer.on_top_of(self._parts, parent)
            await self._parts.snapshots.prepare(container_id, below)

    async def _insert(self, record: Record, *, generated: bool) -> Container:
        for attempt in range(100):
            if generated:
                record.name = names.generate(attempt)
                if record.name in self._by_name:
                    continue
            self._check_free(record.name)
            container = Container(self._parts, record, self)
            # Reserved before the write, in the same step as the check: two creates of one name cannot both pass.
            self._by_name[record.name] = container
            try:
                await self._parts.table.insert(record)
            except BaseException:
                self._by_name.pop(record.name, None)
                raise
            self._index(container)
            return container
        raise Conflict("no free name was found")

    def _check_free(self, name: str) -> None:
        if taken := self._by_name.get(name):
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{taken.id}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )

    def _with_id(self, mode: str) -> str:
        """`container:NAME` with the id in place of the name: a rename of the donor changes nothing. Raises `Invalid`."""
        kind, found, reference = mode.partition(":")
        if not found or kind != "container":
            return mode
        try:
            return f"container:{self.get(reference).id}"
        except NotFound as error:
            # The image was found: "not found" as the answer to a create has clients pull it and try again.
            raise Invalid(str(error)) from None

    async def _undo_volumes(self, record: Record) -> None:
        doomed = mounting.release_volumes(self._parts, record, remove_anonymous=True)
        await mounting.remove_volumes(self._parts, record, doomed)

    async def _undo_snapshot(self, container_id: str) -> None:
        try:
            await self._parts.snapshots.remove(container_id)
        except NotFound:
            pass  # prepare had not come so far

    # -- change ----------------------------------------------------------------------------------------------------

    async def rename(self, reference: str, new_name: str) -> None:
        """Raises `NotFound`, `Conflict` for a taken name, `Invalid`."""
        container = self.get(reference)
        if not new_name:
            raise Invalid("Neither old nor new names may be empty")
        name = names.validate(new_name)
        old = container.name
        if name == old:
            raise Invalid("Renaming a container with the same name as its current name")
        self._check_free(name)
        self._by_name[name] = container
        container.record.name = name
        try:
            await container.changed()
        except BaseException:
            container.record.name = old
            self._by_name.pop(name, None)
            raise
        self._by_name.pop(old, None)
        await self._parts.networks.rename(container.id, name)
        await container.tell("rename", oldName="/" + old)

    async def prune(self, chosen: Iterable[Container]) -> tuple[list[str], int]:
        """Remove those of `chosen` that do not run; their ids and the bytes that came free."""
        removed, freed = [], 0
        for container in chosen:
            if container.status not in (Status.CREATED, Status.EXITED, Status.DEAD):
                continue
            size = (await self._parts.snapshots.usage(container.id)).size_bytes
            try:
                await container.remove()
            except Conflict:
                continue  # it was started or removed meanwhile
            removed.append(container.id)
            freed += size
        return removed, freed

    def process_of(self, reference: str) -> int:
        """The pid of a running container, to share its namespaces. Raises `NotFound`, `Conflict`."""
        container = self.get(reference)
        if container.live is None or not container.live.monitor.signal(0):
            raise Conflict(f"cannot join namespace of a non running container: container {container.id} is not running")
        return container.live.pid

    def record_of(self, reference: str) -> Record:
        """The record of another container. Raises `NotFound`."""
        return self.get(reference).record

    def linkers_of(self, container_id: str) -> list[Container]:
        """The containers that have a legacy link to this one."""
        return [self._by_id[linker] for linker in self._linkers.get(container_id, ())]

    def link_names(self, container: Container) -> list[str]:
        """What others call it: `/LINKER/ALIAS`."""
        return [
            f"/{linker.name}/{alias}"
            for linker in self.linkers_of(container.id)
            for target, alias in links.targets(linker.record)
            if target == container.id
        ]

    async def unlink(self, name: str) -> None:
        """Remove a legacy link by its name, `LINKER/ALIAS`. Raises `NotFound`, `Conflict`, in Docker's words."""
        target = self.get(name)
        parent, slash, alias = name.strip("/").rpartition("/")
        if not slash:
            raise Conflict("Conflict, cannot remove the default link name of the container")
        linker = self.get(parent)
        await linking.unlink(linker, alias)
        if target.id not in dict(links.targets(linker.record)):
            self._linkers.get(target.id, set()).discard(linker.id)

    def _linked(self, name: str) -> Container | None:
        """The container that another one calls so: `LINKER/ALIAS`."""
        parent, _, alias = name.removeprefix("/").rpartition("/")
        linker = self._by_name.get(parent)
        for target, known in links.targets(linker.record) if linker else ():
            if known == alias:
                return self._by_id.get(target)
        return None

    def _index(self, container: Container) -> None:
        self._by_id[container.id] = self._by_name[container.name] = container
        for target, _ in links.targets(container.record):
            self._linkers.setdefault(target, set()).add(container.id)

    def forget(self, container: Container) -> None:
        """It is removed: take it out of the index."""
        for target, _ in links.targets(container.record):
            self._linkers.get(target, set()).discard(container.id)
        self._linkers.pop(container.id, None)
        self._by_id.pop(container.id, None)
        if self._by_name.get(container.name) is container:
            self._by_name.pop(container.name)

    # -- the daemon's life -----------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read every record. Call once, before `reconcile`."""
        renamed = self._parts.volumes.renames()
        for record in await self._parts.table.load():
            container = Container(self._parts, record, self)
            self._index(container)
            for point in record.spec.points:
                if point.type == "volume":
                    self._parts.volumes.claim(renamed.get(point.name, point.name), record.id)

    async def adopt(self) -> set[str]:
        """Take over what still runs; the ids of it. The rest waits for `recover`."""
        bundles = await workers.quick(self._bundles)
        found = [container for container in self.all() if container.id in bundles]
        adopted = await asyncio.gather(*(container.adopt() for container in found))
        return {container.id for container, lives in zip(found, adopted, strict=True) if lives}

    async def recover(self) -> None:
        """Record what ended while no daemon ran, and clear what starts left behind, begun or done."""
        bundles = await workers.quick(self._bundles)
        alive = {container.id for container in self.all() if container.live is not None}
        await workers.bulk(strays.end, [self._parts.paths.bundle(name) for name in bundles - alive])
        for container in self.all():
            if container.live is not None:
                continue
            state = container.record.state
            bundle = self._parts.paths.bundle(container.id)
            ended = await workers.quick(_ending, bundle, container.id) if container.id in bundles else None
            was_alive = state.status in (Status.RUNNING, Status.PAUSED) or (
                ended is not None and _newer(ended[1], state)
            )
            if was_alive:
                code, finished_ns = ended or (LOST_EXIT_CODE, time.time_ns())
                await container.recover(code, finished_ns)
            elif container.id in bundles:
                await starting.tear_down(self._parts, container.record)
        for name in bundles - set(self._by_id):
            await starting.tear_down_stray(self._parts, name)
        await workers.bulk(self._remove_stray_homes)

    async def start_by_policy(self) -> None:
        """Start what its restart policy wants started with the daemon."""
        for container in self.all():
            state, policy = container.record.state, container.record.spec.host.restart_policy
            if container.alive or (container.status is Status.RESTARTING and container.restart_pending):
                continue
            ran = bool(state.started_ns)
            if container.status is Status.RESTARTING or restart.at_daemon_start(
                policy, state.exit_code, state.restart_count, state.stopped_by_hand, ran
            ):
                try:
                    await container.start()
                except DockwrightError:
                    continue  # recorded with the container

    async def stop_all(self, limit_s: int) -> None:
        """Stop every running container, as a daemon without live-restore does when it ends; kill after `limit_s`."""

        async def stop(container: Container) -> None:
            try:
                await container.end_with_daemon(limit_s)
            except DockwrightError:
                pass  # it had ended

        await asyncio.gather(*(stop(container) for container in self.all() if container.alive))

    async def let_go(self) -> None:
        """Stop watching; what runs goes on."""
        await shielded(self._let_go())

    async def _let_go(self) -> None:
        await asyncio.gather(*(container.let_go() for container in self.all()))

    def _bundles(self) -> set[str]:
        try:
            return {entry.name for entry in self._parts.paths.exec.iterdir() if entry.is_dir()}
        except FileNotFoundError:
            return set()

    def _remove_stray_homes(self) -> None:
        """Logs and files of containers that are no more."""
        if self._parts.paths.data.is_dir():
            for entry in self._parts.paths.data.iterdir():
                if entry.name not in self._by_id:
                    mounting.remove_tree(entry)


def _ending(bundle: Path, container_id: str) -> tuple[int, int] | None:
    code = read_exit_code(bundle, container_id)
    if code is None:
        return None
    return code, exit_file(bundle, container_id).stat().st_mtime_ns


def _newer(finished_ns: int, state: State) -> bool:
    """Whether an exit file tells of a run that the record does not know to have ended."""
    return finished_ns > max(state.finished_ns, state.started_ns)
