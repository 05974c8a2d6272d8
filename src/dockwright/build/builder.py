"""The builder: from a context and a Dockerfile to an image."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dockwright import workers
from dockwright.build.attestations import Attestations
from dockwright.build.cache import pruning
from dockwright.build.cache.pruning import CacheUse, Holdings, Pruned
from dockwright.build.cache.records import Cache, Tree
from dockwright.build.channel import Channel
from dockwright.build.chronicle import Chronicle
from dockwright.build.context import Context
from dockwright.build.dockerfile import Dockerfile, DockerfileError, checks, parse
from dockwright.build.finishing import Finishing
from dockwright.build.lending.lender import Lender
from dockwright.build.lending.lenders import LendsNothing
from dockwright.build.outputs.output import Format, Output, ToDirectory, ToStore
from dockwright.build.outputs.result import Exported
from dockwright.build.planning import entitlements, times
from dockwright.build.planning.named import Named
from dockwright.build.planning.plan import Options, Plan, Planner
from dockwright.build.policy import BuilderOptions, Rule, Space
from dockwright.build.progress import Built, Progress, Steps
from dockwright.build.remote_cache.asked import CacheFrom, CacheTo
from dockwright.build.remote_cache.importing import Importing
from dockwright.build.solving.solver import Solving
from dockwright.build.solving.work import Work, Worker
from dockwright.build.sources import Sources, layouts
from dockwright.build.steps.mounting import Mounter
from dockwright.build.steps.running import Limits, Runner
from dockwright.container.parts import Parts
from dockwright.errors import DockwrightError, Invalid, NotFound
from dockwright.image import Image
from dockwright.oci import Digest, Platform
from dockwright.snapshot.trees import spread_apart
from dockwright.tasks import told

UPKEEP_INTERVAL_S = 60.0

FindImage = Callable[[str, Platform], Awaitable[Image]]
log = logging.getLogger(__name__)
# A context is also mounted into steps, whose users may be anybody; nobody of the host reaches it, as what is above is shut.
_SHOWN = 0o755


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
    # An index for one platform too.
    index: bool = False
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
    # What to build, where no Dockerfile says it.
    plan: Plan | None = None


class Builder:
    """All builds of an engine."""

    def __init__(
        self,
        parts: Parts,
        cache: Cache,
        history: Chronicle,
        data: Path,
        directory: Path,
        options: BuilderOptions | None = None,
    ) -> None:
        """`data` is a directory on the data root, `directory` one on the exec root."""
        self._parts, self._cache = parts, cache
        # Of builds that had somebody who keeps records of them.
        self.history = history
        self._options = options or BuilderOptions()
        self._runner = Runner(parts, directory)
        self.caches, self.contexts = data / "mounts", data / "contexts"
        self.sources = Sources(data / "sources", files=self._options.repositories_of_host)
        self._mounter = Mounter(parts.snapshots, self._runner, self.caches, directory, self.contexts)
        self._worker = Worker(parts.images, cache, self._runner, self._mounter, self.sources, parts.background)
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
            await workers.quick(folder.mkdir, mode=_SHOWN, parents=True)
            yield folder
        finally:
            try:
                self._parts.background.start(_discard(folder), name="removal of a context")
            except RuntimeError:
                pass  # the engine is closing: its next start removes it

    def shown(self, diff_ids: tuple[Digest, ...]) -> AbstractAsyncContextManager[Path]:
        """Where the files of these layers, which somebody holds, can be read for as long as the context lasts."""
        return self._mounter.shown(Tree(diff_ids))

    def build(self, request: BuildRequest, context: Context, find_image: FindImage) -> AsyncGenerator[Progress, None]:
        """Build; yields what goes on, and `Built` at the end. Close the generator to give up.

        Raises `DockerfileError` and `Invalid` for what is wrong with the request, `NotFound` for files and images that are
        not there, `StepFailed` for a command that failed. A failed build leaves its cache, and no image.
        """
        said = Channel()
        return told(
            lambda: self._run(request, context, find_image, said), said, self._parts.background, "build of an image"
        )

    async def usage(self) -> list[CacheUse]:
        """What the cache holds, the least recently used first."""
        return await workers.bulk(self._holdings.usage, await self._parts.images.chains())

    async def prune(
        self,
        filters: Mapping[str, Sequence[str]],
        *,
        everything: bool,
        space: Space | None = None,
        chosen: Callable[[CacheUse], bool] | None = None,
    ) -> Pruned:
        """Delete cached results, the least recently used first, until the rest has `space`. Raises `Invalid`.

        Without `everything`, what images are made of stays; with `chosen`, what it does not say yes to. What a build uses now
        stays in any case.
        """
        return await self._follow(Rule(space or Space(), filters, everything=everything), chosen)

    async def keep_up(self) -> list[Pruned]:
        """Follow the rules of the cache's upkeep, one after the other."""
        return [await self._follow(rule) for rule in await self.upkeep_rules()]

    async def upkeep_rules(self) -> tuple[Rule, ...]:
        """The rules of the cache's upkeep."""
        return await workers.quick(self._options.upkeep_rules, self.caches.parent)

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

    async def _follow(self, rule: Rule, wanted: Callable[[CacheUse], bool] | None = None) -> Pruned:
        of_images = await self._parts.images.chains()
        chosen = await workers.bulk(self._holdings.choose, rule, of_images, wanted)
        gone = await workers.bulk(self._holdings.remove_folders, chosen)
        await self._cache.remove(use.id for use in gone if use.folder is None)
        if gone:
            await self._parts.images.collect()
        return Pruned([use.id for use in gone], pruning.freed_bytes(gone))

    async def _run(self, request: BuildRequest, context: Context, find_image: FindImage, said: Channel) -> None:
        text = b"" if request.plan is not None else request.text
        if text is None:
            text = await workers.quick(context.read, request.dockerfile)
        steps, began_ns = Steps(said.tell), time.time_ns()
        if request.plan is not None:
            plans = [request.plan]
        else:
            plans = await self._checked_plans(text, request, context, find_image, said)
        entitlements.check([plan.vertex for plan in plans], request, self._options.entitlements)
        given = _given_ns(request, plans[0].epoch)
        latest_ns = max(times.of_image(plan.base) for plan in plans) if given is None else given
        time_ns = None if request.keep_times else latest_ns
        images, credential = self._parts.images, request.lender.credential
        async with images.lease() as lease:
            imported = await Importing(images, credential, steps).read(request.cache_from)
            work = Work(
                context=context,
                limits=request.limits,
                lease=lease,
                steps=steps,
                time_ns=time_ns,
                no_cache=request.no_cache is True,
                lender=request.lender,
                fresh=frozenset(vertex for plan in plans for vertex in plan.fresh),
                name=_called(request),
                explain=request.explain,
                one_time=given is not None,
                keep_failed=request.keep_failed,
                imported=imported,
            )
            solving = Solving(self._worker, work)
            trees = await solving.solve(*(plan.vertex for plan in plans))
            finishing = Finishing(
                images, self._runner, self._mounter, self.contexts, request, solving, find_image, text, began_ns
            )
            exported = await finishing.finish(plans, trees)
        if any(not isinstance(one, ToStore) or not one.keep for one in request.outputs) or request.cache_to:
            await self._parts.images.collect()  # what was made to be sent alone
        await self._cache.keep_uses()
        self._built.set()
        said.tell(_built(exported))

    async def _checked_plans(
        self, text: bytes, request: BuildRequest, context: Context, find_image: FindImage, said: Channel
    ) -> list[Plan]:
        """What the Dockerfile asks for, once the build checks have said what they find."""
        try:
            dockerfile = parse(text, request.dockerfile)
        except DockerfileError as error:
            said.warn(checks.check_before(text, error))
            raise
        choice = checks.Choice.of(dockerfile, request.options.arguments)
        findings = checks.check(dockerfile, choice, ignored=context.ignored)
        said.warn(findings)
        plans = await self._plans(dockerfile, request, find_image)
        bases = [one for plan in plans for one in plan.bases]
        known = checks.check(dockerfile, choice, ignored=context.ignored, bases=bases)
        said.warn([one for one in known if one not in findings])
        checks.refuse(choice, known)
        return plans

    async def _of_one_platform(self, name: str) -> Image | None:
        """The image, where it is made for one platform alone: it is taken for any, and a check tells of it."""
        try:
            found = await self._parts.images.resolve(name)
        except NotFound:
            return None
        return found if found.id == found.variant.descriptor.digest else None

    async def _plans(self, dockerfile: Dockerfile, request: BuildRequest, find_image: FindImage) -> list[Plan]:
        wanted: list[Platform | None] = [*dict.fromkeys(request.platforms)] or [request.options.platform]
        several = len(wanted) > 1
        options = [replace(request.options, platform=platform) for platform in wanted]

        async def find(name: str, platform: Platform) -> Image:
            if name.startswith(layouts.SCHEME):
                return await layouts.load(self._parts.images, name, platform)
            try:
                return await find_image(name, platform)
            except NotFound:
                if (other := await self._of_one_platform(name)) is None:
                    raise
                return other

        named = Named(request.contexts, files=self._options.repositories_of_host)
        fresh = frozenset() if isinstance(request.no_cache, bool) else request.no_cache
        planners = [Planner(dockerfile, one, find, several=several, named=named, fresh=fresh) for one in options]
        return [await planner.plan() for planner in planners]


async def _discard(folder: Path) -> None:
    await workers.bulk(shutil.rmtree, folder, ignore_errors=True)


def _built(exported: list[Exported]) -> Built:
    image_id = next((one.image_id for one in exported if one.image_id is not None), None)
    names = dict.fromkeys(name for one in exported for name in one.names)
    response = {key: value for one in reversed(exported) for key, value in one.response.items()}
    said = tuple(one for output in exported for one in output.attestations)
    return Built(image_id, tuple(names), response, said)


def _called(request: BuildRequest) -> str:
    """What later builds of the same thing have in common with this one: the Dockerfile's name and the image's."""
    image = request.names[0].rpartition("/")[2].partition(":")[0] if request.names else ""
    return f"{request.dockerfile}|{image}"


def _given_ns(request: BuildRequest, default: str) -> int | None:
    """The latest time of files that whoever builds says: an output's, else `SOURCE_DATE_EPOCH`, for which the Dockerfile may
    have a `default`. Raises `Invalid`.
    """
    asked = {one.time_s for one in map(_form, request.outputs) if one is not None and one.time_s is not None}
    if len(asked) > 1:
        raise Invalid("source-date-epoch: the outputs want different times for the same layers")
    if asked:
        return times.parsed(str(asked.pop()))
    return times.given(request.options.arguments, default)


def _form(output: Output) -> Format | None:
    return None if isinstance(output, ToDirectory) else output.form
