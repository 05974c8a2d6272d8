"""Builds with an embedded engine."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dockwright.build import BuildRequest, Built, Context, Ended, Options, Progress, Said
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
        """Each step's title, and whether the cache had it. The base images are left out."""
        steps = [one for one in self.progress if isinstance(one, Ended) and one.number > 0]
        return {one.title: one.cached for one in steps if "FROM " not in one.title}

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
        context = await self.context()

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


@pytest.fixture
def bench(engine: Engine, tmp_path: Path) -> Bench:
    """A builder and an empty context."""
    (tmp_path / "context").mkdir()
    return Bench(engine, tmp_path / "context")
