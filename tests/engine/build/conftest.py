"""Builds with an embedded engine."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dockwright.build import BuildRequest, Built, Context, Ended, Options, Progress, Said
from dockwright.build.outputs import Output
from dockwright.engine import Engine
from dockwright.image import Image
from dockwright.oci import Digest, Platform


@dataclass
class Outcome:
    """What a build said, and its image."""

    image_id: Digest
    progress: list[Progress] = field(default_factory=list)

    @property
    def cached(self) -> dict[str, bool]:
        """Each step's title, and whether the cache had it. Base images and what is fetched are left out."""
        steps = [one for one in self.progress if isinstance(one, Ended) and one.number > 0]
        return {
            one.title: one.cached
            for one in steps
            if "FROM " not in one.title and not one.title.startswith(("ADD ", "[context"))
        }

    @property
    def said(self) -> str:
        """The output of all steps."""
        return b"".join(one.data for one in self.progress if isinstance(one, Said)).decode()


@dataclass
class Bench:
    """A directory to build from, and the engine that builds."""

    engine: Engine
    root: Path

    def write(self, files: dict[str, str | bytes]) -> None:
        """Files of the context."""
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    async def build(self, text: str, files: dict[str, str | bytes] | None = None, **options: object) -> Outcome:
        """Build `text` with `files` in its context; `arguments`, `target` and `labels` are the Dockerfile's options."""
        self.write(files or {})
        chosen = {name: options.pop(name) for name in ("arguments", "target", "labels") if name in options}
        request = BuildRequest(text=text.encode(), options=Options(**chosen), **options)  # type: ignore[arg-type]
        return await self.run(request, await self.context())

    async def run(self, request: BuildRequest, context: Context) -> Outcome:
        """Build what is asked for."""

        async def find(name: str, platform: Platform) -> Image:
            return await self.engine.images.resolve(name, platform)

        said: list[Progress] = []
        async with aclosing(self.engine.builder.build(request, context, find)) as progress:
            said += [one async for one in progress]
        built = said[-1]
        assert isinstance(built, Built)
        return Outcome(built.image_id, said)

    async def context(self) -> Context:
        """The directory with its ignore file."""
        return await asyncio.to_thread(Context.at, self.root, "Dockerfile")

    async def output(self, image: str, *command: str) -> str:
        """What a command says in a container of `image`."""
        result = await self.engine.run(image, list(command) or None)
        assert result.exit_code == 0, result
        return result.stdout.decode()


FILES: dict[str, str | bytes] = {"a.txt": "A", "amd64.txt": "for amd64", "arm64.txt": "for arm64"}


@dataclass
class Kept:
    """A sink that keeps what it gets."""

    data: bytearray = field(default_factory=bytearray)
    files: dict[str, bytes] = field(default_factory=dict)

    async def tar(self, chunks: AsyncIterator[bytes]) -> None:
        async for chunk in chunks:
            self.data += chunk

    async def tree(self, root: Path) -> None:
        self.files |= await asyncio.to_thread(_files, root)

    @property
    def members(self) -> dict[str, bytes]:
        """The tar's files."""
        with tarfile.open(fileobj=io.BytesIO(bytes(self.data))) as tar:
            return {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}  # type: ignore[union-attr]


async def give(bench: Bench, text: str, *outputs: Output, **options: Any) -> Built:
    """Build `text` with `outputs`; what the builder says at the end."""
    outcome = await bench.build(text, FILES, outputs=outputs, **options)
    built = outcome.progress[-1]
    assert isinstance(built, Built)
    return built


def the(layout: dict[str, bytes], digest: str) -> Any:
    """A document of a layout."""
    return json.loads(layout["blobs/sha256/" + digest.partition(":")[2]])


def _files(root: Path) -> dict[str, bytes]:
    found = (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


@pytest.fixture
def bench(engine: Engine, tmp_path: Path) -> Bench:
    """A builder and an empty context."""
    (tmp_path / "context").mkdir()
    return Bench(engine, tmp_path / "context")
