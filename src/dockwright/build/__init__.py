"""Building images: from a context and a Dockerfile to layers, and to an image of them.

    dockerfile/, describing/     the language: text in, typed instructions out; what can be told of a file without building it
    planning/               instructions become a graph of operations
    sources/, lending/      what comes from elsewhere: repositories, addresses, layouts; secrets, agents, credentials
    solving/, steps/        operations become trees of files, each once; commands in containers
    cache/, remote_cache/   what is kept for later builds, here and on other hosts
    outputs/, attestations/ what a build gives, and what is said of it
    builder, finishing, context, channel, progress, policy, chronicle     one build from its request to its end, and all of them

What does not belong here: HTTP, registries, how layers are kept.
"""

from dockwright.build.builder import Builder, BuildRequest
from dockwright.build.cache.pruning import CacheUse, Pruned
from dockwright.build.cache.records import BUILD_SCHEMA, Cache
from dockwright.build.context import Context
from dockwright.build.lending.lender import Lender
from dockwright.build.lending.lenders import HostLender
from dockwright.build.planning.plan import Options
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
from dockwright.build.steps.running import Limits, StepFailed

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
