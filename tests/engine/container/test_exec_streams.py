"""What an exec says arrives, however soon it ends."""

from __future__ import annotations

import pytest

from dockwright.container import Config, HostConfig, Request
from dockwright.container.execs import ExecConfig
from dockwright.engine import Engine
from dockwright.runtime import ExecProcess, ExecRequest, Runtime

pytestmark = pytest.mark.root


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_process_that_ended_before_it_is_watched_is_heard(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    begin = ExecProcess.start

    async def begin_and_see_it_end(runtime: Runtime, request: ExecRequest) -> ExecProcess:
        started = await begin(runtime, request)
        await started._ended.wait()
        return started

    monkeypatch.setattr(ExecProcess, "start", begin_and_see_it_end)
    request = Request(Config(image="busybox", cmd=["sleep", "1000"]), HostConfig(network_mode="none"), {})
    container, _ = await engine.containers.create(request)
    await container.start()
    config = ExecConfig(attach_stdout=True, attach_stderr=True, tty=terminal, cmd=["echo", "heard"])
    made = await container.execs.create(config)
    streams = await made.start(detach=False)
    assert streams is not None
    said = b""
    while (chunk := await streams.read()) is not None:
        said += chunk[1]
    streams.close()
    assert said.strip() == b"heard"
    await made.ended.wait()
    assert made.exit_code == 0
