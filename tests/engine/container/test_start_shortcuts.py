"""What makes starts fast changes nothing a container can see."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from dockwright.container import Config, HostConfig, Request
from dockwright.container.container import Container
from dockwright.engine import Engine
from dockwright.errors import StartFailed
from dockwright.runtime.filters import ANNOTATION
from dockwright.runtime.sealed import SealedCopy

pytestmark = pytest.mark.root


async def sleeper(engine: Engine, host: HostConfig | None = None) -> Container:
    request = Request(Config(image="busybox", cmd=["sleep", "1000"]), host or HostConfig(network_mode="none"), {})
    container, _ = await engine.containers.create(request)
    await container.start()
    return container


def annotations(container: Container) -> dict[str, str]:
    path: Path = container.parts.paths.bundle(container.id) / "config.json"
    found: dict[str, str] = json.loads(path.read_text()).get("annotations") or {}
    return found


def filtered(container: Container) -> str:
    """Mode and number of filters of the container's first process."""
    assert container.live is not None
    status = Path(f"/proc/{container.live.pid}/status").read_text()
    return " ".join(line.split()[1] for line in status.splitlines() if line.startswith("Seccomp"))


async def test_a_compiled_filter_confines_the_next_container_as_the_first(engine: Engine) -> None:
    first, second = await sleeper(engine), await sleeper(engine)
    if first.parts.runtime(None).filters is None:
        pytest.skip("crun is missing: other runtimes compile each time")
    assert ANNOTATION not in await asyncio.to_thread(annotations, first)
    assert ANNOTATION in await asyncio.to_thread(annotations, second)
    states = [await asyncio.to_thread(filtered, container) for container in (first, second)]
    assert states == ["2 1", "2 1"]
    state_dir = engine.settings.exec_root / "runtime" / "crun"
    programs = {await asyncio.to_thread((state_dir / c.id / "seccomp.bpf").read_bytes) for c in (first, second)}
    assert len(programs) == 1


async def test_other_capabilities_have_another_filter(engine: Engine) -> None:
    await sleeper(engine)
    other = await sleeper(engine, HostConfig(network_mode="none", cap_add=["SYS_ADMIN"]))
    assert ANNOTATION not in await asyncio.to_thread(annotations, other)


async def test_a_filter_of_ones_own_annotation_is_left_alone(engine: Engine) -> None:
    await sleeper(engine)
    with pytest.raises(StartFailed):
        await sleeper(engine, HostConfig(network_mode="none", annotations={ANNOTATION: "no base64!"}))


async def test_a_container_that_died_before_its_start_is_refused_by_the_runtimes_words(engine: Engine) -> None:
    container = await sleeper(engine)
    with pytest.raises(StartFailed):
        await container.parts.runtime(None).start(container.id)  # it runs: nobody waits on the FIFO
    assert container.alive


async def test_a_replaced_runtime_is_copied_anew(tmp_path: Path) -> None:
    def check() -> None:
        program = tmp_path / "tool"
        program.write_text("#!/bin/sh\necho one\n")
        program.chmod(0o755)
        copy = SealedCopy(program)
        assert copy.path().read_bytes() == program.read_bytes()
        assert copy.path() == copy.path()
        with pytest.raises(PermissionError):
            copy.path().write_bytes(b"other")
        program.write_text("#!/bin/sh\necho another\n")
        assert copy.path().read_bytes() == program.read_bytes()
        program.unlink()
        assert copy.path() == program

    await asyncio.to_thread(check)
