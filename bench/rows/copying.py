"""Files in and out of containers and images, by the docker CLI for every engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from bench.engines import Engine
from bench.images import big_file, files_tar, many_files
from bench.row import IMAGE, Prepare, Row, Scale
from bench.rows._session import Sample, session

NAME = "bench-files:latest"


def _once(path: Path, make: Callable[[Path], object]) -> Path:
    if not path.exists():
        make(path)
    return path


def _copy_in(source: Callable[[Scale, Path], Path]) -> Prepare:
    def make(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
        path = source(scale, scratch)
        container = engine.create(IMAGE, ["true"], NetworkMode="none")
        try:
            yield lambda: engine.docker("cp", str(path), f"{container}:/tmp/") * 1000
        finally:
            engine.remove(container)

    return session(make)


def _copy_out(source: Callable[[Scale, Path], Path]) -> Prepare:
    def make(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
        path = source(scale, scratch)
        # A place for each sample, removed at the end: ext4 creates files twenty times slower among inodes that were freed
        # within the last minutes, and the client that creates them is the same for every engine.
        target = scratch / f"out-{path.name}-{engine.name}"
        target.mkdir()
        container = engine.create(IMAGE, ["true"], NetworkMode="none")
        places = (target / str(number) for number in count())
        try:
            engine.docker("cp", str(path), f"{container}:/tmp/")
            yield lambda: engine.docker("cp", f"{container}:/tmp/{path.name}", str(next(places))) * 1000
        finally:
            engine.remove(container)
            shutil.rmtree(target)

    return session(make)


def _big(scale: Scale, scratch: Path) -> Path:
    return _once(scratch / "big", lambda path: big_file(path, scale.archive_mib))


def _small(scale: Scale, scratch: Path) -> Path:
    return _once(scratch / "small", lambda path: many_files(path, scale.small_files))


def _archive(scale: Scale, scratch: Path) -> Path:
    return _once(scratch / "files.tar", lambda path: files_tar(path, scale.archive_mib))


@session
def _import(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    archive = _archive(scale, scratch)

    def sample() -> float:
        try:
            return engine.docker("import", str(archive), NAME) * 1000
        finally:
            engine.remove_image(NAME)

    yield sample


@session
def _save(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    engine.import_image(_archive(scale, scratch), NAME)
    target = scratch / f"saved-{engine.name}.tar"
    try:
        yield lambda: engine.docker("save", "-o", str(target), NAME) * 1000
    finally:
        target.unlink(missing_ok=True)
        engine.remove_image(NAME)


@session
def _load(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    saved = scratch / f"saved-{engine.name}.tar"
    engine.import_image(_archive(scale, scratch), NAME)
    engine.docker("save", "-o", str(saved), NAME)
    engine.remove_image(NAME)

    def sample() -> float:
        try:
            return engine.docker("load", "-i", str(saved)) * 1000
        finally:
            engine.remove_image(NAME)

    try:
        yield sample
    finally:
        saved.unlink(missing_ok=True)


@session
def _export(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    engine.import_image(_archive(scale, scratch), NAME)
    container = engine.create(NAME, ["/none"], NetworkMode="none")
    target = scratch / f"exported-{engine.name}.tar"
    try:
        yield lambda: engine.docker("export", "-o", str(target), container) * 1000
    finally:
        target.unlink(missing_ok=True)
        engine.remove(container)
        engine.remove_image(NAME)


def _row(name: str, title: str, prepare: Prepare) -> Row:
    return Row(name, title, "ms", 0.7, prepare, long=True)


ROWS = (
    _row("cp-in-big", "`docker cp` into a container, one file of {archive_mib} MiB", _copy_in(_big)),
    _row("cp-out-big", "`docker cp` out of it", _copy_out(_big)),
    _row("cp-in-small", "`docker cp` into a container, {small_files} files", _copy_in(_small)),
    _row("cp-out-small", "`docker cp` out of it", _copy_out(_small)),
    _row("import", "`docker import`, a tar of {archive_mib} MiB", _import),
    _row("save", "`docker save` of that image", _save),
    _row("load", "`docker load` of what was saved", _load),
    _row("export", "`docker export` of a container of it", _export),
)
