"""The embeddable engine: opens the store, puts the managers together, and closes them again. It knows no HTTP.

async with Engine.open(Path("/var/lib/mine")) as engine:
    result = await engine.run("debian:bookworm", ["echo", "hi"])
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from dockwright import cgroup, faults, kernel, workers
from dockwright.build import BUILD_SCHEMA, Builder, BuildRequest, Built, Cache, Context
from dockwright.build.chronicle import HISTORY_SCHEMA, Chronicle
from dockwright.build.outputs import ToStore
from dockwright.container import (
    CONTAINER_SCHEMA,
    Condition,
    Config,
    Containers,
    HostConfig,
    Request,
    imagemounts,
    quiet,
    remounting,
)
from dockwright.container.config import EndpointSettings
from dockwright.container.expediting import Expediting
from dockwright.container.parts import ContainerPaths, Defaults, Parts
from dockwright.container.record import ContainerTable
from dockwright.container.spec import capabilities
from dockwright.container.stdio import Stdio
from dockwright.content import LocalBlobs
from dockwright.credentials import Credentials
from dockwright.distribution import Registries
from dockwright.errors import Conflict, DockwrightError, HostFailure, Invalid, NotFound, Unsupported
from dockwright.events import EVENT_SCHEMA, Events
from dockwright.image import IMAGE_SCHEMA, Image, Images, ImageUser
from dockwright.image.progress import Progress as PullProgress
from dockwright.logs import Logs
from dockwright.network import NETWORK_SCHEMA, Networks
from dockwright.oci import Digest, Platform
from dockwright.runtime import Conmon, OciRuntime, Runtime
from dockwright.settings import Settings
from dockwright.snapshot import SNAPSHOT_SCHEMA, Overlay
from dockwright.store import Database, Schema
from dockwright.tasks import Background
from dockwright.undo import UndoStack
from dockwright.volume import VOLUME_SCHEMA, Copies, LocalVolumes, Plugins, Volumes

Pull = Literal["missing", "always", "never"]
AskCredentials = Callable[[], Awaitable[Credentials | None]]

ENGINE_SCHEMA = Schema("engine", ["CREATE TABLE engine (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"])


@dataclass(frozen=True)
class RunResult:
    """What a container run to its end said, and how it ended."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Engine:
    """One engine over one data root. Open it with `Engine.open`; its managers are its attributes."""

    def __init__(
        self,
        settings: Settings,
        engine_id: str,
        database: Database,
        parts: Parts,
        registries: Registries,
        builder: Builder,
    ) -> None:
        self.settings = settings
        self.id = engine_id
        self.parts = parts
        self.events = parts.events
        self.images = parts.images
        self.networks = parts.networks
        self.volumes = parts.volumes
        self.copies = parts.copies
        self.registries = registries
        self.builder = builder
        self.snapshots = parts.snapshots
        self.containers = Containers(parts)
        self.warnings: list[str] = []
        self._database = database

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings | Path | str) -> AsyncIterator[Engine]:
        """Open the engine of a data root, take over what runs there, and let go of it at the end.

        A path puts everything below one directory. Containers go on running after the context ends unless
        `settings.live_restore` is off. Raises `Conflict` when another engine has the root open, `Unsupported` when the
        host lacks something (the message names it), `Corrupt` for a state that cannot be read.
        """
        if not isinstance(settings, Settings):
            settings = Settings.under(Path(settings))
        async with UndoStack() as undo:
            await workers.quick(kernel.require)
            await workers.quick(_make_roots, settings)
            undo.callback(os.close, await workers.quick(_lock, settings.data_root))
            await workers.quick(cgroup.mount_missing)
            engine = await cls._assemble(settings, undo)
            engine.warnings += await workers.quick(_withheld)
            await engine._take_over()
            undo.push_undo(engine._end)
            yield engine

    @classmethod
    async def _assemble(cls, settings: Settings, undo: UndoStack) -> Engine:
        schemas = [
            ENGINE_SCHEMA,
            EVENT_SCHEMA,
            SNAPSHOT_SCHEMA,
            IMAGE_SCHEMA,
            NETWORK_SCHEMA,
            VOLUME_SCHEMA,
            CONTAINER_SCHEMA,
            BUILD_SCHEMA,
            HISTORY_SCHEMA,
        ]
        database = await Database.open(settings.data_root / "state.db", schemas)
        undo.push_undo(database.aclose)
        events = Events(database)
        blobs = await LocalBlobs.open_at(settings.data_root / "content")
        snapshots = await Overlay.open_at(settings.data_root / "snapshots", database)
        undo.push_undo(snapshots.aclose)
        registries = Registries(settings.registry)
        undo.push_undo(registries.aclose)
        cache = Cache(database)
        await cache.load()
        images = await Images.open(
            database,
            blobs,
            snapshots,
            events,
            registries,
            settings.transfers,
            drop_unpacked=settings.gc.drop_unpacked,
            keepers=[cache.chains],
        )
        undo.push_undo(images.aclose)
        drivers = {"local": LocalVolumes(settings.data_root / "volumes")}
        volumes = Volumes(database, events, drivers, Plugins(settings.plugin_directories))
        undo.push_undo(volumes.aclose)
        await volumes.load()
        copies = Copies(volumes, database, events, settings.data_root / "volumes" / ".snapshots")
        await copies.load()
        networks = await Networks.open(database, settings.exec_root, settings.network, events)
        undo.push_undo(networks.aclose)
        runtimes = await workers.quick(_find_runtimes, settings)
        logs = Logs()
        undo.push_undo(logs.aclose)
        cgroups = await workers.quick(cgroup.detect)
        background = Background("engine")
        undo.push_undo(background.aclose)
        expediting = await Expediting.open(settings.exec_root / "expediting", wanted=settings.expedite_starts)
        undo.push_undo(expediting.aclose)
        parts = Parts(
            paths=ContainerPaths(settings.data_root / "containers", settings.exec_root / "containers"),
            defaults=await workers.quick(_defaults, settings.containers, runtimes, cgroups.version),
            table=ContainerTable(database),
            events=events,
            images=images,
            snapshots=snapshots,
            networks=networks,
            logs=logs,
            cgroups=cgroups,
            volumes=volumes,
            copies=copies,
            runtimes=runtimes,
            conmon=Conmon(await workers.quick(_program, "conmon", "it holds containers while the engine restarts")),
            background=background,
            expediting=expediting,
        )
        builder = Builder(
            parts,
            cache,
            Chronicle(database),
            settings.data_root / "build",
            settings.exec_root / "builds",
            settings.builder,
        )
        return cls(settings, await _engine_id(database), database, parts, registries, builder)

    async def run(
        self,
        image: str,
        command: Sequence[str] | None = None,
        *,
        config: Config | None = None,
        host: HostConfig | None = None,
        stdin: bytes | None = None,
        pull: Pull = "missing",
        credentials: Credentials | None = None,
    ) -> RunResult:
        """Run a container of `image` to its end, remove it, and return what it said.

        An image that is not here is pulled first, or always, or never, as `pull` says. `config` and `host` are as in the
        Engine API. Raises as pull, create and start do. Cancelled, it removes the container.
        """
        await self.provide(image, pull, credentials)
        config, host = config or Config(), host or HostConfig()
        config.image = image
        config.cmd = list(command) if command is not None else config.cmd
        config.open_stdin = config.stdin_once = stdin is not None
        endpoints: dict[str, EndpointSettings] = {}
        container, _ = await self.containers.create(Request(config, host, endpoints))
        async with UndoStack() as undo:
            undo.push_undo(container.remove, force=True, volumes=True)
            said = {1: bytearray(), 2: bytearray()}
            try:
                async with asyncio.TaskGroup() as group:
                    collecting = group.create_task(_collect(container.attachments.attach(), stdin, said))
                    await container.start()
                    ending = await container.wait(Condition.NOT_RUNNING)
                    await collecting
            except BaseExceptionGroup as failed:
                ours = failed.subgroup(DockwrightError)
                if ours is None:
                    raise
                raise ours.exceptions[0] from None
            return RunResult(ending.exit_code, bytes(said[1]), bytes(said[2]))

    async def build(
        self,
        context: Path | str,
        request: BuildRequest | None = None,
        *,
        pull: Pull = "missing",
        credentials: Credentials | None = None,
    ) -> Digest:
        """Build an image of the directory `context`; its ID. `Engine.builder.build` tells what goes on meanwhile.

        Base images that are not here are pulled first, or always, or never, as `pull` says. Raises as `Builder.build` does,
        and `Invalid` for outputs that leave no image here.
        """
        asked = request or BuildRequest()
        if asked.outputs and not any(isinstance(one, ToStore) and one.keep for one in asked.outputs):
            raise Invalid("the build's outputs leave no image here: use Engine.builder.build")
        directory = await workers.quick(Context.at, Path(context), asked.dockerfile)

        async def find(name: str, platform: Platform) -> Image:
            return await self.provide(name, pull, credentials, platform)

        async with aclosing(self.builder.build(asked, directory, find)) as progress:
            async for one in progress:
                if isinstance(one, Built) and one.image_id is not None:
                    return one.image_id
        raise HostFailure("the build ended without an image")

    async def provide(
        self,
        image: str,
        pull: Pull,
        credentials: Credentials | AskCredentials | None = None,
        platform: Platform | None = None,
        told: Callable[[PullProgress], None] | None = None,
    ) -> Image:
        """The image, which is here then: pulled when it is `missing`, `always`, or `never`.

        `credentials` may be asked for when they are needed; `told` hears how a pull goes on. Raises `NotFound` for one that is
        not to be pulled, and as pull does.
        """
        if pull not in get_args(Pull):
            raise Invalid(f"invalid pull option: {pull!r}: must be one of {', '.join(get_args(Pull))}")
        if pull != "always":
            try:
                return await self.images.resolve(image, platform)
            except NotFound:
                if pull == "never":
                    raise
        known = await credentials() if callable(credentials) else credentials
        async with aclosing(self.images.pull(image, platform=platform, credentials=known)) as progress:
            async for one in progress:
                if told is not None:
                    told(one)
        return await self.images.resolve(image, platform)

    async def reload(self, settings: Settings) -> None:
        """Take over what may change while the engine runs: runtimes and the default one, registries and how many transfers
        they see at a time, labels, live restore, the time containers have to stop in. The rest of `settings` has to be what
        it was. Raises `Unsupported`, with nothing changed, for a runtime that cannot be run.
        """
        parts = self.parts
        runtimes = await workers.quick(_find_runtimes, settings)
        defaults = await workers.quick(_defaults, settings.containers, runtimes, parts.cgroups.version)
        # Containers that were made with a runtime need it for as long as they are there.
        used = {container.record.spec.host.runtime for container in self.containers.all()}
        parts.runtimes = {name: one for name, one in parts.runtimes.items() if name in used} | runtimes
        parts.defaults = replace(parts.defaults, runtime=defaults.runtime)
        self.registries.change(settings.registry)
        await self.images.set_transfer_limits(settings.transfers)
        self.settings = settings

    async def _take_over(self) -> None:
        """Make host and state agree after whatever happened to the former daemon."""
        await self.builder.clear()
        await self.containers.load()
        await quiet.end_renames(self.containers, self.volumes)
        live = await self.containers.adopt()
        faults.point("engine.adopted")
        self.warnings += await self.networks.reconcile(live)
        await self.containers.recover()
        for container in self.containers.all():
            await remounting.settle(container)
        await self._collect_garbage()
        await self.containers.start_by_policy()
        if self.settings.gc.enabled:
            keeping = self.images.keep_within(self.settings.gc, self._image_users)
            self.parts.background.start(keeping, name="image retention")
        if self.settings.builder.upkeep:
            self.parts.background.start(self.builder.keep_within(), name="upkeep of the build cache")

    def _image_users(self) -> list[ImageUser]:
        return [
            ImageUser(Digest(container.record.spec.image_id), container.id, container.alive)
            for container in self.containers.all()
        ]

    async def _collect_garbage(self) -> None:
        known = {container.id for container in self.containers.all()}
        for snapshot in self.snapshots.walk():
            if snapshot.kind != "committed" and (imagemounts.owner(snapshot.key) or snapshot.key) not in known:
                await self.snapshots.remove(snapshot.key)
        await self.volumes.collect(known)

    async def _end(self) -> None:
        if not self.settings.live_restore:
            await self.containers.stop_all(self.settings.shutdown_timeout_s)
        await self.containers.let_go()
        await self.networks.settle()


async def _collect(attaching: Awaitable[Stdio | None], stdin: bytes | None, said: dict[int, bytearray]) -> None:
    stdio = await attaching
    if stdio is None:
        return
    try:
        if stdin is not None:
            await stdio.write(stdin)
            await stdio.close_stdin()
        while (chunk := await stdio.read()) is not None:
            said[chunk[0]] += chunk[1]
    finally:
        stdio.close()


def _make_roots(settings: Settings) -> None:
    for root, mode in ((settings.data_root, 0o710), (settings.exec_root, 0o711)):
        root.mkdir(mode=mode, parents=True, exist_ok=True)
    for name in ("containers", "volumes"):
        (settings.data_root / name).mkdir(mode=0o710, exist_ok=True)
    (settings.exec_root / "containers").mkdir(mode=0o711, exist_ok=True)


def _lock(data_root: Path) -> int:
    """Hold the root for as long as the descriptor is open; the kernel lets go of it with the process."""
    fd = os.open(data_root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(fd, 32, 0).decode(errors="replace").strip()
        os.close(fd)
        raise Conflict(f"{data_root} is in use by another engine (pid {owner or 'unknown'})") from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


async def _engine_id(database: Database) -> str:
    fresh = "-".join(secrets.token_hex(4 if part in (0, 4) else 2) for part in range(5))

    def work(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT OR IGNORE INTO engine VALUES ('id', ?)", (fresh,))
        return str(connection.execute("SELECT value FROM engine WHERE key = 'id'").fetchone()[0])

    return await database.write(work)


def _find_runtimes(settings: Settings) -> dict[str, Runtime]:
    found: dict[str, Runtime] = {}
    for name in ("crun", "runc"):
        if path := shutil.which(name):
            found[name] = _runtime(name, Path(path), settings)
    for name, entry in settings.runtimes.items():
        if not os.access(entry.path, os.X_OK):
            raise Unsupported(f"runtime {name}: {entry.path} cannot be executed")
        found[name] = _runtime(name, entry.path, settings, entry.arguments)
    if not found:
        raise Unsupported("no OCI runtime was found: install crun or runc")
    wanted = settings.containers.runtime
    if wanted and wanted not in found:
        raise Unsupported(f"the default runtime {wanted!r} is not known: add it with --add-runtime")
    return found


def _runtime(name: str, path: Path, settings: Settings, extra: tuple[str, ...] = ()) -> Runtime:
    state = settings.exec_root / "runtime" / name
    return OciRuntime(name, path, state, systemd_cgroup=settings.systemd_cgroup, extra=extra)


def _defaults(given: Defaults, runtimes: dict[str, Runtime], cgroup_version: int) -> Defaults:
    """What is given, with what is left open chosen by what the host has."""
    # tini first, as Docker's: it ends with 127 and 126 where the command cannot be run. It has to be static: the container's
    # file system need not have a C library.
    known = (found for name in ("tini-static", "catatonit", "docker-init", "tini") if (found := shutil.which(name)))
    init = given.init_path or next(known, "")
    return replace(
        given,
        runtime=given.runtime or next(iter(runtimes)),
        cgroupns_mode=given.cgroupns_mode or ("private" if cgroup_version == 2 else "host"),
        init_path=init,
    )


def _withheld() -> list[str]:
    """What this host withholds from the engine, and what that means; each is refused by name where somebody asks for it."""
    if "CAP_SYS_RESOURCE" in capabilities.available():
        return []
    return ["WARNING: CAP_SYS_RESOURCE is withheld: no ulimits above the engine's own, no lower oom scores"]


def _program(name: str, purpose: str) -> Path:
    path = shutil.which(name)
    if path is None:
        raise Unsupported(f"{name} was not found ({purpose}): install the package {name}")
    return Path(path)
