"""A process that does everything with images until it is killed: `python image_crashing.py ROOT REGISTRY ARCHIVE...`."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from tests.archives import files, stream
from tests.engine.image.conftest import Host, opened

from dockwright.errors import DockwrightError
from dockwright.image import Commit
from dockwright.oci import RunConfig

PULLED = 4


async def step(host: Host, registry: str, archives: list[bytes], number: int) -> None:
    """One random operation; its refusal is fine."""
    name = random.choice([f"x:{random.randrange(4)}", f"{registry}/r{random.randrange(PULLED)}"])
    try:
        match random.randrange(9):
            case 0:
                await host.images.import_(stream(files({f"file{number}": "x" * random.randrange(100_000)})), name)
            case 1:
                async for _ in host.images.load(stream(random.choice(archives))):
                    pass
            case 2:
                await host.images.remove(name)
            case 3:
                await host.images.prune({"dangling": [random.choice(["true", "false"])]})
            case 4:
                await host.images.tag(name, f"y:{random.randrange(4)}")
            case 5:
                key = f"work {number}"
                await host.snapshots.prepare(key, (await host.images.resolve(name)).snapshot)
                await host.images.commit(key, name, Commit(RunConfig()), f"z:{random.randrange(4)}")
                await host.snapshots.remove(key)
            case 6:
                pushed = f"{registry}/pushed/{random.randrange(3)}:{random.randrange(3)}"
                await host.images.tag(name, pushed)
                await host.pushed(pushed)
            case _:
                await host.pulled(f"{registry}/r{random.randrange(PULLED)}")
    except DockwrightError:
        pass


async def main() -> None:
    archives = [Path(path).read_bytes() for path in sys.argv[3:]]
    async with opened(Path(sys.argv[1])) as host:
        print("open", flush=True)
        number = 0
        while True:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    number += 1
                    group.create_task(step(host, sys.argv[2], archives, number))


if __name__ == "__main__":
    asyncio.run(main())
