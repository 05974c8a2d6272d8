"""Legacy links while both ends run: who waits for whom, and what they are called."""

from __future__ import annotations

import asyncio

import pytest

from dockwright.container import Config, HostConfig, Request
from dockwright.container.container import Container
from dockwright.engine import Engine
from dockwright.errors import Conflict, NotFound

pytestmark = pytest.mark.root


async def make(engine: Engine, name: str, *links: str) -> Container:
    host = HostConfig(links=list(links) or None)
    config = Config(image="busybox", cmd=["sleep", "1000"])
    container, _ = await engine.containers.create(Request(config, host, {}, name=name))
    return container


def hosts(container: Container) -> str:
    return (container.parts.paths.home(container.id) / "hosts").read_text()


async def test_a_target_starts_while_its_linker_is_held_and_is_not_held_itself(engine: Engine) -> None:
    target = await make(engine, "target")
    await target.start()
    linker = await make(engine, "linker", "target:db")
    await linker.start()
    await target.kill()
    async with linker.still():
        starting = asyncio.get_running_loop().create_task(target.start())
        async with asyncio.timeout(20):
            while not target.alive:
                await asyncio.sleep(0.01)
            async with target.still():  # as a copy of a volume of both holds them, one after the other
                pass
    await starting
    attachment = engine.networks.attachment(target.id)
    assert attachment is not None
    assert f"{attachment.places[0].ip}\tdb " in hosts(linker)


async def test_links_are_names_of_their_target_and_end_with_their_target(engine: Engine) -> None:
    target = await make(engine, "target")
    await target.start()
    linker = await make(engine, "linker", "target:db", "target:store")
    assert engine.containers.link_names(target) == ["/linker/db", "/linker/store"]
    assert engine.containers.get("linker/store") is target
    with pytest.raises(NotFound, match="No such container: linker/nosuch"):
        await engine.containers.unlink("linker/nosuch")
    with pytest.raises(Conflict, match="cannot remove the default link name"):
        await engine.containers.unlink("target")
    await engine.containers.unlink("/linker/db")
    assert engine.containers.link_names(target) == ["/linker/store"]
    await target.remove(force=True)
    with pytest.raises(NotFound):
        engine.containers.get("linker/store")
    await linker.start()  # without the link of one that is gone, as Docker does
    assert "store" not in hosts(linker)
