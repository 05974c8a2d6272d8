"""From a definition's operations to vertices of the builder's graph."""

from __future__ import annotations

from collections.abc import Sequence

from dockwright.api.buildkit.llb import changing, executing
from dockwright.api.buildkit.llb.program import Program
from dockwright.api.buildkit.llb.results import Results, chosen, layered
from dockwright.api.buildkit.llb.sourcing import Sources
from dockwright.build.planning import times
from dockwright.build.planning.graph import Base, Difference, Merge, Scratch, Vertex, in_order
from dockwright.build.planning.plan import Plan
from dockwright.buildkit.proto.llb_pb2 import LinuxResources, Op, OpMetadata, Platform
from dockwright.errors import Unsupported
from dockwright.oci import Platform as OciPlatform
from dockwright.oci import RunConfig
from dockwright.oci import platform as platforms

_NAME = "llb.customname"
_KINDS = ("exec", "source", "file", "merge", "diff")


async def plan(program: Program, sources: Sources, platform: OciPlatform | None) -> Plan:
    """What to solve. `platform` is that of operations that say none.

    Raises `Invalid` for a definition that makes no sense, `Unsupported` for an operation that cannot be built, and as
    `sources` do.
    """
    made: dict[str, Results] = {}
    fresh: set[Vertex] = set()
    for digest, op in program.ops.items():
        metadata = program.metadata.get(digest, OpMetadata())
        inputs = [made[one.digest].at(one.index) for one in op.inputs]
        made[digest] = results = await _translated(op, metadata, inputs, sources, platform_of(op.platform) or platform)
        if metadata.ignore_cache:
            fresh.update(results.own)
    vertex = layered(made[program.result].at(program.index)) if program.result else Scratch()
    own = platform or platforms.host()
    # The newest image says how new files are at most, as a Dockerfile's base image does.
    images = [one.image for one in in_order([vertex]) if isinstance(one, Base)]
    return Plan(vertex, RunConfig(), (), "", own, max(images, key=times.of_image, default=None), frozenset(fresh))


async def _translated(
    op: Op, metadata: OpMetadata, inputs: Sequence[Vertex], sources: Sources, platform: OciPlatform | None
) -> Results:
    kind = op.WhichOneof("op")
    if kind not in _KINDS:
        raise Unsupported(
            f"the operation {kind or 'of an unknown kind'} is not supported: there are {', '.join(_KINDS)}"
        )
    if metadata.linux_resources != LinuxResources():
        raise Unsupported(f"{kind}: linux_resources are not supported: limits are those of the whole build")
    if any(op.constraints.filter):
        raise Unsupported(f"{kind}: constraints.filter is not supported: there is one worker")
    title = metadata.description.get(_NAME, "")
    match kind:
        case "source":
            return Results.one(await sources.vertex(op.source.identifier, dict(op.source.attrs), title, platform))
        case "exec":
            return executing.translate(op.exec, [layered(one) for one in inputs], inputs, title, platform)
        case "file":
            return changing.translate(op.file, inputs, title)
        case "merge":
            trees = tuple(layered(chosen(inputs, one.input, "merge")) for one in op.merge.inputs)
            return Results.one(Merge(title=title or "merge", trees=trees))
    lower = chosen(inputs, op.diff.lower.input, "diff.lower")
    upper = chosen(inputs, op.diff.upper.input, "diff.upper")
    return Results.one(Difference(title=title or "diff", lower=layered(lower), upper=layered(upper)))


def platform_of(wire: Platform) -> OciPlatform | None:
    """A platform as messages have it; None where nothing is said. Raises `Invalid`."""
    if not wire.OS and not wire.Architecture:
        return None
    return platforms.parse("/".join(part for part in (wire.OS, wire.Architecture, wire.Variant) if part))
