"""Base images straight from a distribution's signed package archive, made by mmdebstrap(1): no registry is asked.

The same state of the archive gives the same image: every time in it is the archive's date (the newest `Date` of the
Release files, whose signatures apt has verified), as `SOURCE_DATE_EPOCH` asks for. When the archive changes while an image
is being made, it is made once more.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

from dockwright import faults, workers
from dockwright.errors import Corrupt, HostFailure, Invalid, NotFound, Unavailable, Unsupported
from dockwright.image import making, suites
from dockwright.image.making import Import
from dockwright.image.progress import Board
from dockwright.image.store import Store
from dockwright.image.suites import Suite
from dockwright.oci import Digest, Reference, RunConfig
from dockwright.tasks import Background
from dockwright.undo import shielded
from dockwright.units import rfc3339

_TRIES = 3
_CHUNK = 512 * 1024
_END_LIMIT_S = 20.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_OWN_WAYS = tuple(
    f"I: {word} " for word in ("using", "running --customize-hook", "removing", "success", "chroot", "finding")
)
_TITLE = "org.opencontainers.image."

# Reads the Release files of the sources and nothing else.
_APT_CONFIG = """\
Dir "{root}/";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::Check-Valid-Until "{valid_until}";
Acquire::IndexTargets::deb::Packages::DefaultEnabled "false";
Acquire::IndexTargets::deb::Translations::DefaultEnabled "false";
"""


@dataclass(frozen=True)
class Wanted:
    """What to make: the suite, packages beyond its smallest set, and whether the archive is one of the past."""

    suite: Suite
    packages: tuple[str, ...]
    past: bool
    names: list[Reference]


@dataclass(frozen=True)
class _Release:
    """What the signed Release files say."""

    date_s: int
    version: str


class _Moved(Exception):
    """The archive changed while the image was made."""


async def bootstrap(store: Store, wanted: Wanted, board: Board) -> None:
    """Make the image and tell the steps; its ID is told to programs at the end. A cancelled call leaves nothing.

    Raises `Unsupported` when a tool or key is missing (the message names the package), `NotFound` for a suite that the
    archive does not have, `Unavailable` when it cannot be read, `Corrupt` when it is not signed by its key.
    """
    suite = wanted.suite
    await workers.quick(_require, wanted)
    async with store.snapshots.stage() as row:
        scratch = store.snapshots.tree(row)
        for _ in range(_TRIES):
            board.tell(f"Reading the Release files of {suite.mirror}", suite.codename)
            release = await _released(wanted, scratch)
            board.tell(f"The archive is of {rfc3339(release.date_s * 10**9)}", suite.codename)
            try:
                image = await _build(store, wanted, release, scratch, board)
            except _Moved:
                board.tell("The archive has changed meanwhile: once more", suite.codename)
                continue
            await store.publish("import", store.records.images[image])
            board.tell(f"Bootstrapped {suite.distribution.name}:{suite.codename}", suite.codename)
            board.tell_aux({"ID": image})
            return
    raise Unavailable(f"{suite.mirror} changes faster than an image can be made of it")


async def _build(store: Store, wanted: Wanted, release: _Release, scratch: Path, board: Board) -> Digest:
    await workers.quick(_prepare, scratch)
    told: list[str] = []
    async with (
        _running(_command(wanted, scratch), _environment(release, scratch)) as process,
        Background("bootstrap output") as background,
    ):
        telling = background.start(_tell(process, told, wanted.suite.codename, board), name=wanted.suite.codename)

        async def tar() -> AsyncIterator[bytes]:
            assert process.stdout is not None
            while chunk := await process.stdout.read(_CHUNK):
                yield chunk
            await telling
            if await process.wait() != 0:
                raise _failure(wanted.suite, told)
            if max(await workers.quick(_dates, scratch / "releases")) != release.date_s:
                raise _Moved
            faults.point("image.bootstrap")

        return await making.import_tar(store, tar(), wanted.names, _described(wanted, release))


def _described(wanted: Wanted, release: _Release) -> Import:
    suite, created = wanted.suite, rfc3339(release.date_s * 10**9)
    version = " ".join(filter(None, (suite.codename, release.version)))
    labels = {
        _TITLE + "created": created,
        _TITLE + "description": f"{suite.distribution.title} {version}, made of its package archive of {created}",
        _TITLE + "title": suite.distribution.name,
        _TITLE + "version": release.version or suite.codename,
    }
    run = RunConfig(env=(f"PATH={_PATH}",), cmd=("bash",), labels=labels)
    message = f"bootstrap {suite.distribution.name}:{suite.codename}"
    return Import(run, message, created=created, annotations=labels)


async def _tell(process: asyncio.subprocess.Process, told: list[str], id: str, board: Board) -> None:
    assert process.stderr is not None
    while raw := await process.stderr.readline():
        line = raw.decode(errors="replace").strip()
        del told[:-20]
        told.append(line)
        # Lines of "I: " are steps, but for those about its own ways.
        if line.startswith("I: ") and not line.startswith(_OWN_WAYS):
            board.tell(line[3:4].upper() + line[4:].rstrip("."), id)


def _command(wanted: Wanted, scratch: Path) -> list[str]:
    suite = wanted.suite
    hooks = [
        'rm -f "$1/etc/resolv.conf" "$1/etc/hostname"',  # the host's: see mmdebstrap(1), SOURCE_DATE_EPOCH
        f'cat "$1"/var/lib/apt/lists/*Release > {shlex.quote(str(scratch / "releases"))}',
    ]
    options = []
    if wanted.past:
        options.append('--aptopt=Acquire::Check-Valid-Until "false"')
        lines = " ".join(shlex.quote(line) for line in suites.official(suite).sources)
        hooks.append(f'rm "$1/etc/apt/apt.conf.d/99mmdebstrap"; printf "%s\\n" {lines} > "$1/etc/apt/sources.list"')
    if wanted.packages:
        options.append("--include=" + ",".join(wanted.packages))
    return [
        # Ends with the daemon, whatever ends that.
        *("setpriv", "--pdeathsig", "TERM", "--", "mmdebstrap", "--mode=root", "--format=tar", "--variant=minbase"),
        *options,
        *(f"--customize-hook={hook}" for hook in hooks),
        *(suite.codename, "-", *suite.sources),
    ]


def _environment(release: _Release, scratch: Path) -> dict[str, str]:
    return _plain_environment() | {"SOURCE_DATE_EPOCH": str(release.date_s), "TMPDIR": str(scratch / "tmp")}


def _plain_environment() -> dict[str, str]:
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | {"PATH": _PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}


async def _released(wanted: Wanted, scratch: Path) -> _Release:
    """Read and verify the Release files with apt."""
    root = scratch / "apt"
    config = await workers.quick(_prepare_apt, wanted, root)
    command = ["setpriv", "--pdeathsig", "KILL", "--", "apt-get", "update", "--error-on=any"]
    async with _running(command, _plain_environment() | {"APT_CONFIG": str(config)}) as process:
        _, said = await process.communicate()
    if process.returncode != 0:
        raise _failure(wanted.suite, said.decode(errors="replace").splitlines())
    return await workers.quick(_read_releases, root / "var/lib/apt/lists", wanted.suite.codename)


def _prepare_apt(wanted: Wanted, root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("etc/apt/apt.conf.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg"):
        (root / folder).mkdir(parents=True)
    (root / "var/lib/dpkg/status").touch()
    (root / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in wanted.suite.sources))
    config = root / "apt.conf"
    config.write_text(_APT_CONFIG.format(root=root, valid_until="false" if wanted.past else "true"))
    return config


def _read_releases(lists: Path, codename: str) -> _Release:
    files = sorted(lists.glob("*Release"))
    if not files:
        raise Corrupt("the archive has no Release file")
    main = [file for file in files if f"_dists_{codename}_" in file.name]
    version = ""
    for line in (main or files)[0].read_text(errors="replace").splitlines():
        if line.startswith("Version: "):
            version = line.partition(" ")[2].strip()
    return _Release(max(date for file in files for date in _dates(file)), version)


def _dates(file: Path) -> list[int]:
    try:
        lines = file.read_text(errors="replace").splitlines()
        return [int(parsedate_to_datetime(line[6:]).timestamp()) for line in lines if line.startswith("Date: ")]
    except ValueError as error:
        raise Corrupt(f"malformed date in a Release file: {error}") from error


def _prepare(scratch: Path) -> None:
    temporary = scratch / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()


def _require(wanted: Wanted) -> None:
    for program, package in (("mmdebstrap", "mmdebstrap"), ("apt-get", "apt"), ("setpriv", "util-linux")):
        if shutil.which(program, path=_PATH) is None:
            raise Unsupported(f"{program} was not found: install the package {package}")
    keyring = wanted.suite.distribution.keyring
    if not keyring.exists():
        package = wanted.suite.distribution.keyring_package
        raise Unsupported(f"the archive's keys {keyring} were not found: install the package {package}")


def _failure(suite: Suite, said: Sequence[str]) -> Exception:
    errors = [line[3:] for line in said if line.startswith("E: ")] or [line for line in said if line]
    message = "; ".join(dict.fromkeys(errors[-3:])) or "no reason given"
    if any("NO_PUBKEY" in line or "is not signed" in line or "BADSIG" in line for line in said):
        return Corrupt(f"{suite.mirror} is not signed by {suite.distribution.keyring}: {message}")
    if any("does not have a Release file" in line or "404  Not Found" in line for line in said):
        return NotFound(f"{suite.mirror} has no suite {suite.codename}: {message}")
    if any("Unable to locate package" in line for line in said):
        return Invalid(message)
    if any("Could not" in line or "Failed to fetch" in line for line in said):
        return Unavailable(f"{suite.mirror} cannot be read: {message}")
    return HostFailure(f"bootstrapping {suite.codename} failed: {message}")


@asynccontextmanager
async def _running(command: Sequence[str], environment: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program with its output on pipes; it and what it started are gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await shielded(_end(process), limit_s=2 * _END_LIMIT_S)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(process.pid, number)
        try:
            async with asyncio.timeout(_END_LIMIT_S):
                await process.communicate()
            break
        except TimeoutError:
            continue
    _signal(process.pid, signal.SIGKILL)  # what it started, if that did not end with it


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass
