"""Images: pulled from a registry on this host, unpacked from many small files, listed."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import memory, registry
from bench.engines import Engine
from bench.images import many_files
from bench.row import Row, Scale
from bench.rows._session import Sample, session

PULLED = "bench/pulled"
UNPACKED = "bench-small:latest"
LISTED = "bench-listed"


@contextmanager
def _pulled_from(engine: Engine, scale: Scale, scratch: Path) -> Iterator[str]:
    """The name of an image in a registry of this row's own; the registry's content is made once."""
    root = scratch / "registry"
    filled = root / "filled"
    with registry.running(root) as running:
        if not filled.exists():
            running.put_image(PULLED, registry.host_layers(scale.pulled_layers, scale.pulled_layer_mib))
            filled.touch()
        yield f"{running.address}/{PULLED}:latest"


@session
def _pull(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    with _pulled_from(engine, scale, scratch) as name:

        def sample() -> float:
            try:
                return engine.docker("pull", "-q", name) * 1000
            finally:
                engine.remove_image(name)

        yield sample


@session
def _peak(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    with _pulled_from(engine, scale, scratch) as name:

        def sample() -> float:
            daemon = memory.daemon_pid(engine.socket)
            memory.forget_peak(daemon)
            try:
                engine.docker("pull", "-q", name)
                return memory.peak_kib(daemon) / 1024
            finally:
                engine.remove_image(name)

        yield sample


@session
def _push(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    with _pulled_from(engine, scale, scratch) as name:
        engine.docker("pull", "-q", name)
        count = iter(range(1000))
        with registry.running(scratch / f"target-{engine.name}") as target:

            def sample() -> float:
                new = f"{target.address}/pushed{next(count)}:latest"
                engine.docker("tag", name, new)
                try:
                    return engine.docker("push", "-q", new) * 1000
                finally:
                    engine.remove_image(new)

            try:
                yield sample
            finally:
                engine.remove_image(name)


@session
def _unpack(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    archive = scratch / "many.docker.tar"
    if not archive.exists():
        _archive(archive, many_files(scratch / "many", scale.unpacked_files))

    def sample() -> float:
        try:
            return engine.docker("load", "-q", "-i", str(archive)) * 1000
        finally:
            engine.remove_image(UNPACKED)

    yield sample


@session
def _list(engine: Engine, scale: Scale, scratch: Path) -> Iterator[Sample]:
    names = [f"{LISTED}:{number}" for number in range(scale.listed_images)]
    layer = scratch / "tiny.tar"
    try:
        for number, name in enumerate(names):
            with tarfile.open(layer, "w") as tar:
                tar.addfile(tarfile.TarInfo(f"file{number}"))
            engine.import_image(layer, name)
        yield lambda: engine.docker("images") * 1000
    finally:
        for name in names:
            engine.remove_image(name)


def _archive(target: Path, folder: Path) -> None:
    """A Docker archive of one image with one layer: the files of `folder`."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.add(folder, "data")
    layer = raw.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [registry.digest(layer)]},
        }
    ).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": [UNPACKED], "Layers": ["layer.tar"]}]).encode()
    compressed = gzip.compress(layer, 1)
    with tarfile.open(target, "w") as tar:
        for name, content in (("config.json", config), ("layer.tar", compressed), ("manifest.json", manifest)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


ROWS = (
    Row(
        "pull",
        "`docker pull`, {pulled_layers} layers of {pulled_layer_mib} MiB compressed",
        "ms",
        0.6,
        _pull,
        long=True,
    ),
    Row("memory-pull", "memory: the daemon's peak during that pull", "MiB", None, _peak, long=True),
    Row("push", "`docker push` of that image", "ms", None, _push, long=True),
    Row("unpack", "`docker load`, one layer of {unpacked_files} small files", "ms", 0.7, _unpack, long=True),
    Row("images", "`docker images`, {listed_images} of them", "ms", None, _list),
)
