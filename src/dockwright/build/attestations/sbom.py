"""A bill of materials: a scanner image, run on the result. BuildKit, "SBOM scanning protocol".

The scanner sees the trees below /run/src, read-only, and writes `NAME.spdx.json` into /run/out. It is a step as any other,
whose own changes are thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dockwright import workers
from dockwright.build.attestations.asked import Sbom
from dockwright.build.cache.records import Tree
from dockwright.build.lending.lender import Lender
from dockwright.build.outputs.result import Attestation
from dockwright.build.planning.effects import DEFAULT_PATH
from dockwright.build.planning.graph import Execute, Scratch
from dockwright.build.steps.mounting import Mounter
from dockwright.build.steps.running import Limits, Runner
from dockwright.container.mounts import MountPoint
from dockwright.errors import Invalid
from dockwright.image import Image

PREDICATE = "https://spdx.dev/Document"
CORE = "sbom"
# As BuildKit's; and how many scans there may be.
LIMIT_BYTES = 40 << 20
LIMIT = 64
_SOURCES, _OUT = "/run/src", "/run/out"
_SUFFIX = ".spdx.json"


@dataclass(frozen=True)
class Scanner:
    """Scans results with the scanner image `image`."""

    runner: Runner
    mounter: Mounter
    image: Image
    asked: Sbom
    limits: Limits
    lender: Lender

    async def scan(
        self, tree: Tree, extras: Mapping[str, Tree | Path], say: Callable[[bytes], None]
    ) -> list[Attestation]:
        """What the scanner says of `tree`, and of `extras` by their names: trees, and directories of this host.

        Raises `Invalid` for a scanner that has no command or does not keep to the protocol, `StepFailed` for one that fails.
        """
        async with self.mounter.place("scan") as folder, AsyncExitStack() as stack:
            out = folder / "out"
            await workers.quick(out.mkdir)
            points = [MountPoint(type="bind", destination=_OUT, source=str(out))]
            points.append(MountPoint(type="tmpfs", destination="/tmp", options=["nosuid", "nodev", "mode=1777"]))
            places: dict[str, Tree | Path] = {f"core/{CORE}": tree}
            places |= {f"extras/{CORE}-{name}": one for name, one in extras.items()}
            for number, (place, shown) in enumerate(places.items()):
                target = folder / str(number)
                if isinstance(shown, Path):
                    target = shown
                else:
                    await workers.quick(target.mkdir)
                    await stack.enter_async_context(self.mounter.placed(shown, target, f"{folder.name}.{number}"))
                where = f"{_SOURCES}/{place}"
                points.append(MountPoint(type="bind", destination=where, source=str(target), rw=False))
            step_id, rootfs = await stack.enter_async_context(self.runner.changed(self.image.snapshot))
            vertex = self._vertex(with_extras=bool(extras))
            await self.runner.run(step_id, rootfs, vertex, points, self.limits, say, self.lender)
            return await workers.bulk(_collect, out, self.asked.generator)

    def _vertex(self, *, with_extras: bool) -> Execute:
        run = self.image.config.run
        arguments = (*(run.entrypoint or ()), *(run.cmd or ()))
        if not arguments:
            raise Invalid(f"sbom: the scanner image {self.asked.generator} has no command")
        env = {"PATH": DEFAULT_PATH, **dict(pair.partition("=")[::2] for pair in run.env or ())}
        env |= {"BUILDKIT_SCAN_DESTINATION": f"{_OUT}/", "BUILDKIT_SCAN_SOURCE": f"{_SOURCES}/core/{CORE}"}
        if with_extras:
            env["BUILDKIT_SCAN_SOURCE_EXTRAS"] = f"{_SOURCES}/extras/"
        env |= {f"BUILDKIT_SCAN_{name}": value for name, value in self.asked.parameters.items()}
        return Execute(
            title=f"generating sbom using {self.asked.generator}",
            base=Scratch(),
            arguments=arguments,
            env=tuple(f"{name}={value}" for name, value in env.items()),
            working_dir=run.working_dir or "/",
            user=run.user,
        )


def _collect(out: Path, scanner: str) -> list[Attestation]:
    """The scans, which the scanner may have made anything of."""
    names = sorted(name for name in os.listdir(out) if name.endswith(_SUFFIX))
    if not names:
        raise Invalid(f"sbom: the scanner {scanner} has written no *{_SUFFIX}")
    if len(names) > LIMIT:
        raise Invalid(f"sbom: the scanner {scanner} has written {len(names)} scans: the limit is {LIMIT}")
    return [Attestation(PREDICATE, _read(out / name, scanner), name) for name in names]


def _read(path: Path, scanner: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Invalid(f"sbom: {path.name} of the scanner {scanner}: {error.strerror}") from error
    with os.fdopen(fd, "rb") as file:
        try:
            content = file.read(LIMIT_BYTES + 1)
        except OSError as error:
            raise Invalid(f"sbom: {path.name} of the scanner {scanner}: {error.strerror}") from error
    if len(content) > LIMIT_BYTES:
        raise Invalid(f"sbom: {path.name} of the scanner {scanner} is longer than {LIMIT_BYTES} bytes")
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"sbom: {path.name} of the scanner {scanner} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise Invalid(f"sbom: {path.name} of the scanner {scanner} is no SPDX document")
    return msgspec.json.encode(document)
