"""`Engine.run` brings the image that it is asked to run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.recording import Recording, recording

from dockwright.engine import Engine
from dockwright.errors import Invalid, NotFound

pytestmark = pytest.mark.root


@pytest.fixture
async def registry(busybox_image: Path) -> AsyncIterator[Recording]:
    async with recording() as one:
        one.put_image("box", "latest", [busybox_image.read_bytes()])
        yield one


async def test_a_missing_image_is_pulled_once_and_always_when_asked_for(engine: Engine, registry: Recording) -> None:
    name = f"{registry.address}/box"
    for pull, asked in (("missing", True), ("missing", False), ("always", True), ("never", False)):
        registry.asked.clear()
        result = await engine.run(name, ["echo", pull], pull=pull)  # type: ignore[arg-type]
        assert result.stdout == f"{pull}\n".encode()
        assert bool(registry.asked) == asked, pull


async def test_an_image_that_may_not_be_pulled_is_not_found(engine: Engine, registry: Recording) -> None:
    with pytest.raises(NotFound, match="No such image"):
        await engine.run(f"{registry.address}/box", ["true"], pull="never")
    with pytest.raises(NotFound):
        await engine.run(f"{registry.address}/nothing", ["true"])
    with pytest.raises(Invalid, match="invalid pull option"):
        await engine.run(f"{registry.address}/box", ["true"], pull="sometimes")  # type: ignore[arg-type]
    assert await engine.images.count() == 1
