"""The builder: from a context and a Dockerfile to an image."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from dockwright import workers
from dockwright.build import entitlements, layouts, pruning, times
from dockwright.build.attestations import Attestations
from dockwright.build.attesting import Attesting
from dockwright.build.cache import Cache, Tree
from dockwright.build.context import Context
from dockwright.build.dockerfile import Dockerfile, checks, parse
from dockwright.build.lenders import LendsNothing
from dockwright.build.lending import Lender
from dockwright.build.mounting import Mounter
from dockwright.build.named import Named
from dockwright.build.outputs.exporting import Exporter
from dockwright.build.outputs.output import Output, ToStore
from dockwright.build.outputs.result import Exported, Part, Result
from dockwright.build.plan import Options, Plan, Planner
from dockwright.build.policy import BuilderOptions, Rule, Space
from dockwright.build.progress import Built, Progress, Said, Steps, Warned
from dockwright.build.pruning import CacheUse, Holdings, Pruned
from dockwright.build.remote_cache.asked import CacheFrom, CacheTo
from dockwright.build.remote_cache.exporting import CacheExporter, inline
from dockwright.build.remote_cache.importing import Importing
from dockwright.build.running import Limits, Runner
from dockwright.build.solver import Solver, Solving, Work
from dockwright.build.sources import Sources
from dockwright.build.squashing import Squashing
from dockwright.container.parts import Parts
from dockwright.errors import DockwrightError
from dockwright.image import Image
from dockwright.oci import History, ImageConfig, Platform, RootFS
from dockwright.snapshot.trees import spread_apart
from dockwright.tasks import told
from dockwright.units import rfc3339

# What a client that reads too slowly is spared.
PENDING_BYTES = 4 * 1024 * 1024
CLIPPED = b"\n[output left out: it came faster than it was read]\n"

UPKEEP_INTERVAL_S = 60.0
# A build argument with which Docker's clients ask for an inline cache.
INLINE_CACHE_ARG = "BUILDKIT_INLINE_CACHE"

FindImage = Callable[[str, Platform], Awaitable[Image]]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildRequest:
    """One build. `text` is the Dockerfile where it does not come from the context's file `dockerfile`."""

    dockerfile: str = "Dockerfile"
    text: bytes | None = None
    options: Options = field(default_factory=Options)
    names: Sequence[str] = ()
    # True, or the stages that are built whatever the cache has.
    no_cache: bool | frozenset[str] = False
    limits: Limits = field(default_factory=Limits)
    keep_times: bool = False
    lender: Lender = field(default_factory=LendsNothing)
    # Without any, one image in the store with `names`.
    outputs: Sequence[Output] = ()
    # More than one: an index. Without any, `options.platform`.
    platforms: Sequence[Platform] = ()
    attestations: Attestations = field(default_factory=Attestations)
    cache_from: Sequence[CacheFrom] = ()
    cache_to: Sequence[CacheTo] = ()
    # One layer on top of the base image.
    squash: bool = False
    # What names in FROM and --from mean in place of stages and images: a directory, or an address as `plan.Named` reads it.
    contexts: Mapping[str, Context | str] = field(default_factory=dict)
    # What the steps may ask for beyond the usual: `network.host`, `security.insecure`.
    entitlements: frozenset[str] = frozenset()
    # Tell `Missed` for each step that the cache does not have; keep the tree of a step that fails as an image.
    explain: bool = False
    keep_failed: bool = False


class Builder:
    """All builds of an engine."""

    def __init__(
        self, parts: Parts, cache: Cache, data: Path, directory: Path, options: BuilderOptions | None = None
    ) -> None:
        """`data` is a directory on the data root, `directory` one on the exec root."""
        self._parts, self._cache = parts, cache
        self._options = options or BuilderOptions()
        self._runner = Runner(parts, directory)
        self.caches, self.contexts = data / "mounts", data / "contexts"
        self.sources = Sources(data / "sources", files=self._options.repositories_of_host)
        self._mounter = Mounter(parts.snapshots, self._runner, self.caches, directory, self.contexts)
        self._solver = Solver(parts.images, cache, self._runner, self._mounter, self.sources, parts.background)
        self._holdings = Holdings(cache, self._mounter, self.sources.shelf, data)
        self._built = asyncio.Event()

    async def clear(self) -> None:
        """At the engine's start: undo what builds of a former one left."""
        await workers.bulk(pruning.empty, self.contexts)
        await workers.quick(spread_apart, self.contexts)
        await workers.bulk(self._mounter.clear)
        await workers.bulk(self.sources.shelf.clear)
        await self._runner.clear()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Path]:
        """A directory for a context that is received; what is in it goes in the background afterwards."""
        folder = self.contexts / secrets.token_hex(16)
        try:
            await workers.quick(folder.mkdir, mode=0o700, parents=True)
            yield folder
        finally:
            try:
                self._parts.background.start(_discard(folder), name="removal of a context")
            except RuntimeError:
                pass  # the engine is closing: its next start removes it

    def build(self, request: BuildRequest, context: Context, find_image: FindImage) -> AsyncGenerator[Progress, None]:
        """Build; yields what goes on, and `Built` at the end. Close the generator to give up.

        Raises `DockerfileError` and `Invalid` for what is wrong with the request, `NotFound` for files and images that are
        not there, `StepFailed` for a command that failed. A failed build leaves its cache, and no image.
        """
        said = _Channel()
        return told(
            lambda: self._run(request, context, find_image, said), said, self._parts.background, "build of an image"
        )

    async def usage(self) -> list[CacheUse]:
        """What the cache holds, the least recently used first."""
        return await workers.bulk(self._holdings.usage)

    async def prune(
        self, filters: Mapping[str, Sequence[str]], *, everything: bool, space: Space | None = None
    ) -> Pruned:
        """Delete cached results, the least recently used first, until the rest has `space`. Raises `Invalid`.

        Without `everything`, cache mounts stay. What a build uses now stays in any case.
        """
        return await self._follow(Rule(space or Space(), filters, everything=everything))

    async def keep_up(self) -> list[Pruned]:
        """Follow the rules of the cache's upkeep, one after the other."""
        rules = await workers.quick(self._options.upkeep_rules, self.caches.parent)
        return [await self._follow(rule) for rule in rules]

    async def keep_within(self) -> None:
        """Follow the rules after builds, once a minute at most. Ends when cancelled."""
        while True:
            await self._built.wait()
            self._built.clear()
            try:
                await self.keep_up()
            except DockwrightError as error:
                log.warning("upkeep of the build cache: %s", error)
            await asyncio.sleep(UPKEEP_INTERVAL_S)

    async def _follow(self, rule: Rule) -> Pruned:
        chosen = await workers.bulk(self._holdings.choose, rule)
        gone = await workers.bulk(self._holdings.remove_folders, chosen)
        await self._cache.remove(use.id for use in gone if use.folder is None)
        if gone:
            await self._parts.images.collect()
        return Pruned([use.id for use in gone], sum(use.size_bytes for use in gone))

    async def _run(self, request: BuildRequest, context: Context, find_image: FindImage, said: _Channel) -> None:
        text = request.text
        if text is None:
            text = await workers.quick(context.read, request.dockerfile)
        dockerfile = parse(text, request.dockerfile)
        choice = checks.Choice.of(dockerfile, request.options.arguments)
        findings = checks.check(dockerfile, choice, ignored=context.ignored)
        for found in findings:
            rule, line = found.rule, found.line
            said.tell(Warned(line.start, rule.name, found.message, rule.about, rule.url, line.end))
        steps, began_ns = Steps(said.tell), time.time_ns()
        plans = await self._plans(dockerfile, request, find_image)
        checks.refuse(choice, findings)
        entitlements.check([plan.vertex for plan in plans], request, self._options.entitlements)
        given = times.given(request.options.arguments)
        latest_ns = max(times.of_image(plan.base) for plan in plans) if given is None else given
        time_ns = None if request.keep_times else latest_ns
        images, credential = self._parts.images, request.lender.credential
        async with images.lease() as lease:
            imported = await Importing(images, credential, steps).read(request.cache_from)
            work = Work(
                context,
                request.limits,
                lease,
                steps,
                time_ns,
                request.no_cache is True,
                request.lender,
                frozenset(vertex for plan in plans for vertex in plan.fresh),
                _called(request),
                request.explain,
                given is not None,
                request.keep_failed,
                imported,
            )
            solving = Solving(self._solver, work)
            trees = await solving.solve(*(plan.vertex for plan in plans))
            attesting = Attesting(
                request.attestations,
                self._runner,
                self._mounter,
                find_image,
                request.limits,
                request.lender,
                steps,
                began_ns if request.keep_times else None,
            )
            parts = [
                await self._part(request, solving, attesting, plan, tree, text)
                for plan, tree in zip(plans, trees, strict=True)
            ]
            result = Result(tuple(parts), len(request.platforms) > 1, time_ns)
            exporter = Exporter(images, self._mounter, self.contexts, lease, steps, credential)
            outputs = request.outputs or [ToStore(tuple(request.names))]
            exported = [await exporter.export(output, result) for output in outputs]
            caches = CacheExporter(images, lease, steps, credential, solving.records, parts, _told(time_ns))
            exported += [Exported(response=await caches.export(wanted)) for wanted in request.cache_to]
        await self._cache.keep_uses()
        self._built.set()
        said.tell(_built(exported))

    async def _part(
        self, request: BuildRequest, solving: Solving, attesting: Attesting, plan: Plan, tree: Tree, text: bytes
    ) -> Part:
        """One platform's result with everything that is said of it."""
        time_ns = solving.work.time_ns
        attestations = await attesting.provenance(plan, request.options, request.dockerfile, text)
        attestations += await attesting.sbom(tree, {})
        cache = b""
        if any(one.inline for one in request.cache_to) or request.options.arguments.get(INLINE_CACHE_ARG) == "1":
            cache = inline(solving.records, tree, _told(time_ns))
        history = plan.history
        if request.squash:
            below = plan.base.config.diff_ids if plan.base is not None else ()
            squashing = Squashing(self._parts.images, self._runner, solving.work.lease)
            tree, history = await squashing.squash(tree, len(below), plan.history, time_ns)
        return Part(plan.platform, tree, _config(plan, history, tree.diff_ids, time_ns), tuple(attestations), cache)

    async def _plans(self, dockerfile: Dockerfile, request: BuildRequest, find_image: FindImage) -> list[Plan]:
        wanted: list[Platform | None] = [*dict.fromkeys(request.platforms)] or [request.options.platform]
        several = len(wanted) > 1
        options = [replace(request.options, platform=platform) for platform in wanted]

        async def find(name: str, platform: Platform) -> Image:
            if name.startswith(layouts.SCHEME):
                return await layouts.load(self._parts.images, name, platform)
            return await find_image(name, platform)

        named = Named(request.contexts, files=self._options.repositories_of_host)
        fresh = frozenset() if isinstance(request.no_cache, bool) else request.no_cache
        planners = [Planner(dockerfile, one, find, several=several, named=named, fresh=fresh) for one in options]
        return [await planner.plan() for planner in planners]


async def _discard(folder: Path) -> None:
    await workers.bulk(shutil.rmtree, folder, ignore_errors=True)


class _Channel:
    """What a build says, until it is read; of output, as much as is fair."""

    def __init__(self) -> None:
        self._waiting: deque[Progress] = deque()
        self._pending = 0
        self._clipped = False
        self._changed = asyncio.Event()
        self._ended = False

    def tell(self, one: Progress) -> None:
        """Say it."""
        if isinstance(one, Said):
            if self._pending > PENDING_BYTES:
                if not self._clipped:
                    self._waiting.append(Said(one.number, CLIPPED))
                self._clipped = True
                return
            self._pending += len(one.data)
        self._waiting.append(one)
        self._changed.set()

    def end(self) -> None:
        """Nothing more will be said."""
        self._ended = True
        self._changed.set()

    async def next(self) -> Progress | None:
        """The next thing; None at the end."""
        while not self._waiting:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        one = self._waiting.popleft()
        if isinstance(one, Said):
            self._pending -= len(one.data)
            self._clipped = self._clipped and self._pending > PENDING_BYTES // 2
        return one


def _built(exported: list[Exported]) -> Built:
    image_id = next((one.image_id for one in exported if one.image_id is not None), None)
    names = dict.fromkeys(name for one in exported for name in one.names)
    response = {key: value for one in reversed(exported) for key, value in one.response.items()}
    return Built(image_id, tuple(names), response)


def _called(request: BuildRequest) -> str:
    """What later builds of the same thing have in common with this one: the Dockerfile's name and the image's."""
    image = request.names[0].rpartition("/")[2].partition(":")[0] if request.names else ""
    return f"{request.dockerfile}|{image}"


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
