"""The end of a build: what was solved becomes results, something is said of them, and they are given to whoever asked."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from dockwright.build.attestations.attesting import Attesting
from dockwright.build.cache.records import Tree
from dockwright.build.outputs.exporting import Exporter
from dockwright.build.outputs.output import ToStore
from dockwright.build.outputs.result import Attestation, Exported, Part, Result
from dockwright.build.outputs.squashing import Squashing
from dockwright.build.planning.plan import Plan
from dockwright.build.remote_cache.exporting import CacheExporter, inline
from dockwright.build.solving.solver import Solving
from dockwright.build.steps.mounting import Mounter
from dockwright.build.steps.running import Runner
from dockwright.image import Image, Images
from dockwright.oci import History, ImageConfig, Platform, RootFS
from dockwright.units import rfc3339

if TYPE_CHECKING:
    from dockwright.build.builder import BuildRequest

# A build argument with which Docker's clients ask for an inline cache.
INLINE_CACHE = "BUILDKIT_INLINE_CACHE"


@dataclass(frozen=True)
class Finishing:
    """One build's end. `folder` is on the data root, for what is only passing through; `text` is the Dockerfile."""

    images: Images
    runner: Runner
    mounter: Mounter
    folder: Path
    request: BuildRequest
    solving: Solving
    find_image: Callable[[str, Platform], Awaitable[Image]]
    text: bytes
    began_ns: int

    async def finish(self, plans: Sequence[Plan], trees: Sequence[Tree]) -> list[Exported]:
        """Do everything that was asked for with the result of each plan, one after another. Raises as the exporters do."""
        request, work = self.request, self.solving.work
        parts = [await self._part(plan, tree) for plan, tree in zip(plans, trees, strict=True)]
        result = Result(tuple(parts), request.index or len(parts) > 1, work.time_ns)
        credential = request.lender.credential
        exporter = Exporter(self.images, self.mounter, self.folder, work.lease, work.steps, credential)
        outputs = request.outputs or [ToStore(tuple(request.names))]
        exported = [await exporter.export(output, result) for output in outputs]
        created = _told(work.time_ns)
        caches = CacheExporter(self.images, work.lease, work.steps, credential, self.solving.records, parts, created)
        exported += [Exported(response=await caches.export(wanted)) for wanted in request.cache_to]
        said = tuple((part.platform, one) for part in parts for one in part.attestations)
        return [*exported, Exported(attestations=said)]

    async def _part(self, plan: Plan, tree: Tree) -> Part:
        """One platform's result with everything that is said of it."""
        work, records = self.solving.work, self.solving.records
        attestations = await self._attestations(plan, tree)
        wants_inline = self.request.options.arguments.get(INLINE_CACHE) == "1"
        cache = b""
        if wants_inline or any(one.inline for one in self.request.cache_to):
            cache = inline(records, tree, _told(work.time_ns))
        history = plan.history
        if self.request.squash:
            below = plan.base.config.diff_ids if plan.base is not None else ()
            squashing = Squashing(self.images, self.runner, work.lease)
            tree, history = await squashing.squash(tree, len(below), history, work.time_ns)
            cache = b""  # its layers are not those of any step
        config = _config(plan, history, tree.diff_ids, work.time_ns)
        return Part(plan.platform, tree, config, tuple(attestations), cache)

    async def _attestations(self, plan: Plan, tree: Tree) -> list[Attestation]:
        request, work = self.request, self.solving.work
        attesting = Attesting(
            request.attestations,
            self.runner,
            self.mounter,
            self.find_image,
            request.limits,
            request.lender,
            work.steps,
            self.began_ns if request.keep_times else None,
        )
        found = await attesting.provenance(plan, request.options, request.dockerfile, self.text, self.solving.origins)
        return found + await attesting.sbom(tree, self._extras(plan))

    def _extras(self, plan: Plan) -> dict[str, Tree | Path]:
        """What the Dockerfile wants a scanner to look into beside the result."""
        found: dict[str, Tree | Path] = {name: self.solving.layers_of(vertex) for name, vertex in plan.scanned.items()}
        if plan.scans_context:
            found["context"] = self.solving.work.context.root
        return found


def _told(time_ns: int | None) -> str:
    return rfc3339(time.time_ns() if time_ns is None else time_ns)


def _config(plan: Plan, steps: Iterable[History], diff_ids: Iterable[str], time_ns: int | None) -> ImageConfig:
    created = _told(time_ns)
    history = tuple(one if one.created else msgspec.structs.replace(one, created=created) for one in steps)
    return ImageConfig(
        plan.platform.architecture,
        plan.platform.os,
        created,
        plan.author,
        plan.platform.variant,
        config=plan.config,
        rootfs=RootFS(diff_ids=tuple(diff_ids)),  # type: ignore[arg-type]
        history=history,
    )
