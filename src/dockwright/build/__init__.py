"""Building images: from a context and a Dockerfile to layers, and to an image of them.

    dockerfile/             the language: text in, typed instructions out
    plan, effects, graph    instructions become operations
    solver, cache           operations become trees of files, each once
    running, files, edits, mounting         what an operation does
    lending, lenders                        secrets, ssh agents and credentials of whoever asks for a build
    builder, context, progress, pruning     one build, and all of them
    chronicle               records of builds that are over
    finishing, attesting, squashing         what becomes of its result
    outputs/, attestations/, remote_cache/  what it gives, what is said of that, caches of other hosts

What does not belong here: HTTP, registries, how layers are kept.
"""

from dockwright.build.builder import Builder, BuildRequest
from dockwright.build.cache import BUILD_SCHEMA, Cache
from dockwright.build.context import Context
from dockwright.build.lenders import HostLender
from dockwright.build.lending import Lender
from dockwright.build.plan import Options
from dockwright.build.progress import (
    Built,
    Ended,
    Failed,
    Missed,
    Moved,
    Planned,
    Progress,
    Said,
    Started,
    Step,
    Steps,
    Warned,
)
from dockwright.build.pruning import CacheUse, Pruned
from dockwright.build.running import Limits, StepFailed

__all__ = [
    "BUILD_SCHEMA",
    "BuildRequest",
    "Builder",
    "Built",
    "Cache",
    "CacheUse",
    "Context",
    "Ended",
    "Failed",
    "HostLender",
    "Lender",
    "Limits",
    "Missed",
    "Moved",
    "Options",
    "Planned",
    "Progress",
    "Pruned",
    "Said",
    "Started",
    "Step",
    "StepFailed",
    "Steps",
    "Warned",
]
