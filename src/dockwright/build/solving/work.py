"""What a build brings along to be solved, and what all builds of an engine share."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from dockwright.build.cache.records import Cache, Tree
from dockwright.build.context import Context
from dockwright.build.lending.lender import Lender
from dockwright.build.lending.lenders import LendsNothing
from dockwright.build.planning.graph import Vertex
from dockwright.build.progress import Steps
from dockwright.build.remote_cache.importing import Imported
from dockwright.build.solving.places import Place
from dockwright.build.sources import Sources
from dockwright.build.steps.mounting import Mounter
from dockwright.build.steps.running import Limits, Runner
from dockwright.flights import Flights, Slots
from dockwright.image import Images
from dockwright.image.leases import Lease
from dockwright.tasks import Background

# Steps of all builds that change files at the same time. Most of them wait for something else as often as they compute.
PARALLEL = max(4, 2 * (os.cpu_count() or 1))

# Layers, or files that lie somewhere.
Solved = Tree | Place
Say = Callable[[bytes], None]


@dataclass(frozen=True)
class Site:
    """Where a step is done: its snapshot, mounted at `rootfs`; what it says goes to `say`, what it needs is held by `lease`."""

    step_id: str
    rootfs: Path
    say: Say
    lease: Lease


# What is left to be done, blocking, in the layer's own directory when nothing is mounted any more.
Rest = Callable[[Path], None]
Change = Callable[[Site], Awaitable[Rest | None]]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one build brings along. `time_ns` is the latest time that its files have; None keeps their own."""

    context: Context
    limits: Limits
    lease: Lease
    steps: Steps
    time_ns: int | None
    no_cache: bool = False
    lender: Lender = field(default_factory=LendsNothing)
    # What else is built whatever the cache has.
    fresh: frozenset[Vertex] = frozenset()
    # What this build and later ones of the same thing are called, so that they can be compared.
    name: str = ""
    explain: bool = False
    # `time_ns` is that of all stages, not of the last one alone.
    one_time: bool = False
    keep_failed: bool = False
    imported: Imported = field(default_factory=Imported)


class Worker:
    """What all builds of an engine share."""

    def __init__(
        self,
        images: Images,
        cache: Cache,
        runner: Runner,
        mounter: Mounter,
        sources: Sources,
        background: Background,
    ) -> None:
        self.images, self.cache, self.runner, self.mounter = images, cache, runner, mounter
        self.sources, self.memory = sources, cache.memory
        self.flights: Flights[str, Tree, [bytes]] = Flights(background)
        self.slots = Slots(PARALLEL)


def layers(solved: Solved) -> Tree:
    """What is made of layers. A stage stands on nothing else."""
    assert isinstance(solved, Tree), "the planner makes layers of what a stage stands on"
    return solved
