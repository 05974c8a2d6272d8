"""A failure at any step of a start leaves nothing behind, and the same start succeeds afterwards."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from tests.host import footprint

import dockwright
from dockwright import faults
from dockwright.container import Condition, Config, HostConfig, Request
from dockwright.container.config import Mount, PortBinding
from dockwright.container.container import Container
from dockwright.container.state import Status
from dockwright.engine import Engine
from dockwright.errors import HostFailure

pytestmark = pytest.mark.root

SOURCE = Path(dockwright.__file__).parent
START_POINTS = sorted(
    {
        point
        for path in (SOURCE / "container").rglob("*.py")
        for point in re.findall(r'faults\.point\("(start\.[a-z.]+)"\)', path.read_text())
    }
)
CREATE_POINTS = ["create.volumes", "create.snapshot", "create.persist"]


def request(name: str = "") -> Request:
    return Request(
        config=Config(image="busybox", cmd=["sleep", "1000"], volumes={"/data": {}}, exposed_ports={"80/tcp": {}}),
        host=HostConfig(
            port_bindings={"80/tcp": [PortBinding(host_ip="127.0.0.1", host_port="")]},
            mounts=[Mount(type="volume", source="kept", target="/kept")],
            ipc_mode="shareable",
        ),
        endpoints={},
        name=name,
    )


async def settled(engine: Engine) -> set[str]:
    """What the kernel holds of this engine, once everything in the background has been done."""
    await engine.networks.settle()
    own = {str(engine.settings.data_root.parent), engine.settings.network.bridge}
    own |= {container.id for container in engine.containers.all()}
    held = await asyncio.to_thread(footprint)
    return {entry for entry in held if "/netns/" not in entry and any(name in entry for name in own)}


def test_every_step_of_a_start_has_a_fault_point() -> None:
    assert len(START_POINTS) >= 11


@pytest.mark.parametrize("point", START_POINTS)
async def test_a_failed_start_leaves_nothing_and_may_be_tried_again(engine: Engine, point: str) -> None:
    container, _ = await engine.containers.create(request())
    before = await settled(engine)
    with faults.armed(point), pytest.raises(HostFailure, match=re.escape(point)):
        await container.start()
    assert await settled(engine) == before
    assert not container.alive
    assert container.record.state.error == f"injected fault at {point}"
    assert engine.networks.attachment(container.id) is None
    assert not engine.parts.paths.bundle(container.id).exists()
    await container.start()
    assert container.status is Status.RUNNING
    await container.remove(force=True, volumes=True)


@pytest.mark.parametrize("point", START_POINTS)
async def test_a_start_cancelled_at_any_step_leaves_nothing(engine: Engine, point: str) -> None:
    container, _ = await engine.containers.create(request())
    before = await settled(engine)
    task = asyncio.get_running_loop().create_task(container.start())
    with faults.armed(point, lambda: task.cancel() and None), pytest.raises(asyncio.CancelledError):
        await task
    assert await settled(engine) == before
    assert not container.alive
    await container.start()
    await container.remove(force=True, volumes=True)


@pytest.mark.parametrize("point", CREATE_POINTS)
async def test_a_failed_create_leaves_no_container_no_name_and_no_volume(engine: Engine, point: str) -> None:
    with faults.armed(point), pytest.raises(HostFailure, match=re.escape(point)):
        await engine.containers.create(request("unlucky"))
    assert engine.containers.all() == []
    assert [volume for volume in engine.volumes.all() if volume.anonymous] == []
    container, _ = await engine.containers.create(request("unlucky"))
    assert container.name == "unlucky"


async def run_to_end(engine: Engine, *command: str) -> Container:
    container, _ = await engine.containers.create(
        Request(Config(image="busybox", cmd=list(command)), HostConfig(network_mode="none"), {})
    )
    await container.start()
    await container.wait(Condition.NOT_RUNNING)
    return container


async def test_a_removal_that_fails_half_way_is_finished_by_the_next_engine(engine: Engine) -> None:
    container = await run_to_end(engine, "touch", "/written")
    with faults.armed("remove.release"), pytest.raises(HostFailure):
        await container.remove()
    assert engine.containers.all() == []
    assert container.id in {snapshot.key for snapshot in engine.snapshots.walk()}
    await engine._collect_garbage()
    assert container.id not in {snapshot.key for snapshot in engine.snapshots.walk()}
