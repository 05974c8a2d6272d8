"""Fixtures shared by every test: private daemons, embedded engines, the leak check, and the guard against blocking calls."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest
from blockbuster import blockbuster_ctx

from dockwright.engine import Engine
from dockwright.network import NetworkOptions
from dockwright.settings import Settings
from tests.host import Daemon, footprint
from tests.images import busybox_tar

# Reads of /proc and of one small file on tmpfs: microseconds, and no disk.
MAY_BLOCK = (
    ("os.stat", "runtime/exec.py", {"ran"}),
    ("os.stat", "runtime/conmon.py", {"out_of_memory"}),
    ("os.stat", "network/manager.py", {"__init__"}),
    ("os.stat", "network/namespaces.py", {"alive"}),
    ("io.TextIOWrapper.read", "network/ports.py", {"_ephemeral_range"}),
)
# The same examples in every run: a new one is looked for on purpose (HYPOTHESIS_PROFILE=default), not by whoever changes
# something else.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

_failed: list[str] = []
ROOTFS = Path(__file__).parents[1] / "tools/debian-rootfs.sh"
SPECS = Path(__file__).parents[2] / "shared" / "specs"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="root is missing: real containers need it"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed:
        _failed.append(f"{report.nodeid} ({report.when})")


def pytest_unconfigure() -> None:
    """The last lines say which tests failed: a long difference must not push their names out of what is kept of a run."""
    for name in _failed:
        print("failed:", name)


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """The leak check: mounts, namespaces, links, rules, cgroups and processes are at the end what they were before.

    A run without a test that needs root makes none of these, and may go on beside a run that does.
    """
    if not any(item.get_closest_marker("root") for item in request.session.items):
        yield
        return
    before = footprint()
    yield
    deadline = time.monotonic() + 20
    while (left := footprint() - before) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left, f"left behind: {sorted(left)}"


@pytest.fixture(autouse=True)
def _nothing_blocks_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """A blocking call inside `dockwright` on the event loop fails the test that made it."""
    if not asyncio.iscoroutinefunction(getattr(request, "function", None)):
        yield
        return
    with blockbuster_ctx("dockwright") as guard:
        for name, file, functions in MAY_BLOCK:
            guard.functions[name].can_block_in(f"dockwright/{file}", functions)
        yield


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory of this run; its path is short, as unix sockets need it."""
    path = Path(tempfile.mkdtemp(prefix="dw-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def busybox_image(scratch: Path) -> Path:
    """A root file system of busybox as a tar archive."""
    path = scratch / "busybox.tar"
    busybox_tar(path)
    return path


@pytest.fixture(scope="session")
def debian(scratch: Path) -> Iterator[Path]:
    """A root file system from the host's package archive."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is missing: it makes the root file system")
    path = scratch / "debian.tar"
    done = subprocess.run(["bash", ROOTFS, path, "ca-certificates"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the package archive is out of reach: {done.stderr.strip()[-200:]}")
    yield path
    path.unlink()


@pytest.fixture(scope="session")
def daemon(scratch: Path, busybox_image: Path) -> Iterator[Daemon]:
    """A daemon of this run with the image `busybox:latest`, for tests that do not disturb it."""
    with Daemon(scratch / "daemon", f"dws{os.getpid()}") as running:
        running.import_image(busybox_image, "busybox:latest")
        yield running


@pytest.fixture
def own_daemon(scratch: Path, busybox_image: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A daemon of this test alone, to be killed and started again at will."""
    name = f"dw{abs(hash(request.node.nodeid)) % 10**8}"
    with Daemon(scratch / name, name) as running:
        running.import_image(busybox_image, "busybox:latest")
        yield running


@pytest.fixture
def engine_socket(daemon: Daemon) -> str:
    """The unix socket of the shared daemon."""
    return str(daemon.socket)


@pytest.fixture
async def engine(tmp_path: Path, busybox_image: Path, request: pytest.FixtureRequest) -> AsyncIterator[Engine]:
    """An embedded engine of this test, with the image `busybox:latest`."""
    settings = Settings(
        data_root=tmp_path / "data",
        exec_root=tmp_path / "exec",
        network=NetworkOptions(bridge=f"dwe{abs(hash(request.node.nodeid)) % 10**8}", prepared=1),
        live_restore=False,
    )
    async with Engine.open(settings) as opened:
        await import_busybox(opened, busybox_image)
        yield opened
        for container in opened.containers.all():
            await container.remove(force=True, volumes=True)


async def import_busybox(engine: Engine, archive: Path) -> str:
    """Bring `busybox:latest` into an embedded engine."""

    async def chunks() -> AsyncIterator[bytes]:
        data = await asyncio.to_thread(archive.read_bytes)
        for start in range(0, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]

    return await engine.images.import_(chunks(), "busybox:latest")


@pytest.fixture(scope="session")
def docker_cli() -> str:
    """The real docker command; the test is skipped where it is not installed."""
    path = shutil.which("docker")
    if path is None:
        pytest.skip("the docker command is missing")
    return path


@pytest.fixture
def docker(docker_cli: str, daemon: Daemon, tmp_path: Path):  # type: ignore[no-untyped-def]
    """Run the real docker command against the shared daemon."""

    def run(*arguments: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [docker_cli, *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": f"unix://{daemon.socket}"},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode:
            pytest.fail(f"docker {' '.join(arguments)}: {done.returncode}: {done.stderr}{done.stdout}")
        return done

    return run


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter of this run."""
    return sys.executable
