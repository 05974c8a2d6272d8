"""Builds: steps with nothing cached and all cached, one line changed in a big context, forty stages of a diamond.

Each with the classic builder (`POST /build`) and with BuildKit's protocol, which Debian's docker-buildx brings along for both
engines: with dockerd it is dockerd's own BuildKit that builds.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import debian
from bench.engines import DOCKER, Engine
from bench.http import Failed
from bench.images import many_files
from bench.row import IMAGE, Prepare, Row, Scale
from bench.rows._session import Sample, session

STEPS = 8
STAGES = 38
LIMIT_S = 300
NAME = "bench-built"

Make = Callable[[Path, Scale], None]


def _steps(folder: Path, scale: Scale) -> None:
    lines = [f"RUN echo {number} > /step{number}" for number in range(STEPS)]
    (folder / "Dockerfile").write_text("\n".join([f"FROM {IMAGE}", *lines, ""]))


def _context(folder: Path, scale: Scale) -> None:
    source = many_files(folder / "src", scale.context_files)
    assert source.is_dir()
    many_files(folder / "left-out", scale.context_files // 10)
    (folder / ".dockerignore").write_text("left-out\n")
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY src /src\nRUN ls /src | wc -l > /count\n")


def _diamond(folder: Path, scale: Scale) -> None:
    middle = [f"FROM top AS m{n}\nRUN echo {n} > /m{n} && sleep 0.1" for n in range(STAGES)]
    copies = [f"COPY --from=m{n} /m{n} /all/" for n in range(STAGES)]
    (folder / "Dockerfile").write_text(
        "\n".join([f"FROM {IMAGE} AS top", "RUN echo top > /top", *middle, "FROM top", *copies, ""])
    )


def _building(name: str, make: Make, *flags: str, buildkit: bool, change: bool = False, warm: bool = False) -> Prepare:
    """A row that builds what `make` writes; `change` changes one line of one file before each sample."""

    @session
    def prepare(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
        program = _buildx() if buildkit else DOCKER
        folder = scratch / f"build-{name}"
        if not folder.exists():
            folder.mkdir()
            make(folder, scale)
        numbers = itertools.count(time.time_ns())

        def sample() -> float:
            if change:
                with (folder / "src" / "0" / "0").open("a") as file:
                    file.write(f"{next(numbers)}\n")
            return _build(engine, program, folder, flags) * 1000

        if warm:
            sample()
        try:
            yield sample
        finally:
            engine.remove_image(NAME)

    return prepare


def _buildx() -> str:
    try:
        return str(debian.buildx())
    except debian.Missing as missing:
        raise Failed(str(missing)) from missing


def _build(engine: Engine, program: str, folder: Path, flags: tuple[str, ...]) -> float:
    environment = os.environ | {
        "DOCKER_HOST": f"unix://{engine.socket}",
        "DOCKER_BUILDKIT": "0",
        "DOCKER_CLI_HINTS": "false",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # an engine without them must not be the faster for it
    }
    began = time.perf_counter()
    done = subprocess.run(
        [program, "build", "-q", "-t", NAME, *flags, str(folder)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT_S,
    )
    took_s = time.perf_counter() - began
    if done.returncode:
        raise Failed(f"docker build: {done.stderr.decode(errors='replace').strip()[-400:]}")
    return took_s


def _rows() -> Iterator[Row]:
    for buildkit in (False, True):
        ending, by = ("-buildkit", ", BuildKit") if buildkit else ("", ", classic")
        fresh = _building(f"fresh{ending}", _steps, "--no-cache", buildkit=buildkit)
        cached = _building(f"cached{ending}", _steps, buildkit=buildkit, warm=True)
        changed = _building(f"context{ending}", _context, buildkit=buildkit, change=True, warm=True)
        diamond = _building(f"diamond{ending}", _diamond, "--no-cache", buildkit=buildkit)
        yield Row(
            f"build{ending}", f"`docker build`{by}, {STEPS} RUN steps, nothing cached", "ms", 0.5, fresh, long=True
        )
        yield Row(f"build-cached{ending}", f"`docker build`{by}, all cached", "ms", 1.0, cached)
        yield Row(
            f"build-context{ending}",
            f"`docker build`{by}, one line changed in a context of {{context_files}} files",
            "ms",
            0.5,
            changed,
            long=True,
        )
        yield Row(
            f"build-diamond{ending}",
            f"`docker build`{by}, a diamond of {STAGES + 2} stages",
            "ms",
            0.5,
            diamond,
            long=True,
        )


ROWS = tuple(_rows())
