"""Steps that are given up end, also when the runtime cannot kill them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.engine.build.conftest import Bench

from dockwright.build import BuildRequest, Said
from dockwright.errors import HostFailure
from dockwright.image import Image
from dockwright.oci import Platform
from dockwright.runtime import OciRuntime

pytestmark = pytest.mark.root


async def test_a_command_ends_though_the_runtime_fails_to_kill_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def kill(self: OciRuntime, container_id: str, signal: int, *, all_processes: bool = False) -> None:
        raise HostFailure("its status is half written")

    monkeypatch.setattr(OciRuntime, "kill", kill)

    async def find(name: str, platform: Platform) -> Image:
        return await bench.engine.images.resolve(name, platform)

    request = BuildRequest(text=b"FROM busybox\nRUN echo begun && exec sleep 4567\n")
    async with aclosing(bench.engine.builder.build(request, await bench.context(), find)) as progress:
        async for one in progress:
            if isinstance(one, Said):
                break
    async with asyncio.timeout(20):
        while await asyncio.to_thread(_running, b"sleep\x004567\x00"):
            await asyncio.sleep(0.02)


def _running(command: bytes) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == command:
                return True
        except OSError:
            continue
    return False
