"""The engine inside a program of yours, without a daemon: `python examples/embedded.py ROOT` (as root)."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from dockwright.engine import Engine


async def busybox() -> AsyncIterator[bytes]:
    """A root file system of one static program, as a tar."""
    with tempfile.TemporaryDirectory() as tree:
        (Path(tree) / "bin").mkdir()
        script = "cp /bin/busybox bin/ && for a in sh echo uname; do ln -s busybox bin/$a; done && tar -c bin"
        yield subprocess.run(["sh", "-c", script], cwd=tree, check=True, capture_output=True).stdout


async def main(root: str) -> None:
    async with Engine.open(root) as engine:
        await engine.images.import_(busybox(), "busybox:latest")
        result = await engine.run("busybox", ["sh", "-c", "echo hi from $(uname -n)"])
        print(result.stdout.decode(), end="")


asyncio.run(main(sys.argv[1]))
