"""`expedite-starts`: the kernel's switch is on while a container starts, and off again whatever happens."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.host import Daemon

from dockwright.container.expediting import SWITCH, Expediting
from dockwright.errors import HostFailure


@pytest.fixture
def switch(tmp_path: Path) -> Path:
    """A switch that stands for the kernel's."""
    path = tmp_path / "rcu_expedited"
    path.write_text("0")
    return path


@pytest.fixture
def name() -> str:
    return f"\0dockwright/test/{secrets.token_hex(8)}"


@pytest.fixture
async def expediting(tmp_path: Path, switch: Path, name: str) -> AsyncIterator[Expediting]:
    opened = await Expediting.open(tmp_path / "marker", wanted=True, switch=switch, name=name)
    yield opened
    await opened.aclose()


async def test_starts_are_counted(expediting: Expediting, switch: Path) -> None:
    with expediting.starting():
        with expediting.starting():
            assert switch.read_text() == "1"
        assert switch.read_text() == "1"
    assert switch.read_text() == "0"
    with pytest.raises(HostFailure), expediting.starting():
        raise HostFailure("a start that fails")
    assert switch.read_text() == "0"


async def test_it_is_off_unless_it_is_wanted(tmp_path: Path, switch: Path, name: str) -> None:
    opened = await Expediting.open(tmp_path / "marker", wanted=False, switch=switch, name=name)
    with opened.starting():
        assert switch.read_text() == "0"
    await opened.aclose()


@pytest.mark.parametrize("wanted", [True, False])
async def test_what_a_killed_daemon_left_on_is_switched_off(
    tmp_path: Path, switch: Path, name: str, wanted: bool
) -> None:
    (tmp_path / "marker").touch()
    switch.write_text("1")
    opened = await Expediting.open(tmp_path / "marker", wanted=wanted, switch=switch, name=name)
    assert switch.read_text() == "0"
    await opened.aclose()
    assert not (tmp_path / "marker").exists()


async def test_a_switch_that_somebody_else_turned_on_is_left_alone(tmp_path: Path, switch: Path, name: str) -> None:
    switch.write_text("1")
    opened = await Expediting.open(tmp_path / "marker", wanted=True, switch=switch, name=name)
    with opened.starting():
        pass
    await opened.aclose()
    assert switch.read_text() == "1"


async def test_one_daemon_at_a_time_has_the_switch(
    expediting: Expediting, tmp_path: Path, switch: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = await Expediting.open(tmp_path / "other", wanted=True, switch=switch, name=name)
    assert "another daemon has" in caplog.text
    with expediting.starting():
        with other.starting():
            pass
        assert switch.read_text() == "1"
    await other.aclose()
    await expediting.aclose()
    third = await Expediting.open(tmp_path / "other", wanted=True, switch=switch, name=name)
    with third.starting():
        assert switch.read_text() == "1"
    await third.aclose()


async def test_a_kernel_without_the_switch_is_told_in_the_log(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    opened = await Expediting.open(tmp_path / "marker", wanted=True, switch=tmp_path / "none", name=name)
    assert "starts are not expedited" in caplog.text
    with opened.starting():
        pass
    await opened.aclose()


@pytest.mark.root
@pytest.mark.skipif(not os.access(SWITCH, os.W_OK), reason="the kernel has no rcu_expedited")
def test_a_daemon_killed_in_the_middle_of_a_start_is_followed_by_one_that_switches_it_off(
    scratch: Path, busybox_image: Path
) -> None:
    daemon = Daemon(scratch / "expedite", f"dwx{secrets.token_hex(4)}", "--expedite-starts")
    with daemon:
        daemon.import_image(busybox_image, "busybox:latest")
        client = daemon.client()
        assert client.containers.run("busybox", ["true"], remove=True) == b""
        assert SWITCH.read_text().strip() == "0"
        found = client.containers.create("busybox", ["sleep", "60"])
        daemon.kill()
        daemon.environment = {"DOCKWRIGHT_FAULTS": "start.run:kill"}
        daemon.start()
        with pytest.raises(Exception):  # noqa: B017 - whatever the SDK makes of a connection that breaks
            found.start()
        assert SWITCH.read_text().strip() == "1"
        daemon.kill()  # it is dead; somebody has to wait for it
        daemon.environment = {}
        daemon.start()
        assert SWITCH.read_text().strip() == "0"
        client.close()
