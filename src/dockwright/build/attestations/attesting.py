"""What a build says of its results: asked of the two packages that know how, one platform at a time."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dockwright.build.attestations import Attestations, Sbom
from dockwright.build.attestations.provenance import Facts, attest
from dockwright.build.attestations.sbom import Scanner
from dockwright.build.cache.records import Tree
from dockwright.build.lending.lender import Lender
from dockwright.build.outputs.result import Attestation
from dockwright.build.planning.graph import Vertex, in_order
from dockwright.build.planning.plan import Options, Plan
from dockwright.build.progress import Steps
from dockwright.build.solving.places import Origin
from dockwright.build.steps.mounting import Mounter
from dockwright.build.steps.running import Limits, Runner
from dockwright.errors import DockwrightError, Unavailable
from dockwright.image import Image
from dockwright.oci import Platform
from dockwright.oci import platform as platforms

FindImage = Callable[[str, Platform], Awaitable[Image]]


@dataclass(frozen=True)
class Attesting:
    """One build's. `began_ns` is None where times are not to be told."""

    asked: Attestations
    runner: Runner
    mounter: Mounter
    find_image: FindImage
    limits: Limits
    lender: Lender
    steps: Steps
    began_ns: int | None

    async def provenance(
        self, plan: Plan, options: Options, dockerfile: str, text: bytes, origins: Mapping[Vertex, Origin]
    ) -> list[Attestation]:
        """Where the result of `plan` comes from. Raises `Invalid`."""
        times_ns = None if self.began_ns is None else (self.began_ns, time.time_ns())
        vertices = in_order([plan.vertex])
        facts = Facts(dockerfile, text, vertices, options.arguments, options.labels, options.target, times_ns, origins)
        return attest(self.asked, facts)

    async def sbom(self, tree: Tree, extras: Mapping[str, Tree | Path]) -> list[Attestation]:
        """What is in the result `tree`. Raises `Unavailable` when the scanner image is not to be had."""
        asked = self.asked.sbom
        if asked is None:
            return []
        with self.steps.work(f"generating sbom using {asked.generator}") as work:
            image = await self._scanner(asked)
            scanner = Scanner(self.runner, self.mounter, image, asked, self.limits, self.lender)
            return await scanner.scan(tree, extras, work.say)

    async def _scanner(self, asked: Sbom) -> Image:
        try:
            return await self.find_image(asked.generator, platforms.host())
        except DockwrightError as error:
            raise Unavailable(
                f"sbom: the scanner image {asked.generator} cannot be had: {error}; name another with generator=IMAGE"
            ) from error
