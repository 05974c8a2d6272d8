"""From a Dockerfile to a graph of operations, and to the configuration of the image they make.

Only the stages that the target needs are looked at. What a stage's instructions say about containers (ENV, CMD, ...) is
gathered in its configuration; what they do to files becomes a vertex.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from dockwright.build.context import Context
from dockwright.build.dockerfile import Dockerfile, DockerfileError, Stage, checks
from dockwright.build.dockerfile import instructions as language
from dockwright.build.dockerfile.instructions.base import Instruction
from dockwright.build.dockerfile.lines import Line, Source, scan
from dockwright.build.dockerfile.scope import SCAN_CONTEXT, SCAN_STAGE, Scope, automatic, expand_at, global_scope
from dockwright.build.planning import created_by, times, titles
from dockwright.build.planning.effects import DEFAULT_PATH, Effects, Made, changes_files
from dockwright.build.planning.graph import Base, Copy, Scratch, Vertex
from dockwright.build.planning.named import IMAGE, LAYOUT, STAGE, Named
from dockwright.build.planning.titles import Titles
from dockwright.errors import Invalid
from dockwright.image import Image
from dockwright.oci import History, Platform, RunConfig
from dockwright.oci import platform as platforms

FindImage = Callable[[str, Platform], Awaitable[Image]]


@dataclass(frozen=True)
class Options:
    """What whoever builds says about the Dockerfile. `target` empty is the last stage."""

    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    network: str = "default"


@dataclass(frozen=True)
class Plan:
    """What to solve, and what the image says beside its files. `history` holds the base image's too."""

    vertex: Vertex
    config: RunConfig
    history: tuple[History, ...]
    author: str
    platform: Platform
    base: Image | None
    # What is built whatever the cache has.
    fresh: frozenset[Vertex] = frozenset()
    # Stages that are to be looked into by a scanner too, by name.
    scanned: Mapping[str, Vertex] = field(default_factory=dict)
    # And the build's context.
    scans_context: bool = False
    # What base images are, for the checks.
    bases: tuple[checks.Known, ...] = ()
    # The latest time of files, in seconds since 1970, where the Dockerfile says one before its first stage.
    epoch: str = ""


class Planner:
    """Plans one build. Use once."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        options: Options,
        find_image: FindImage,
        *,
        several: bool = False,
        named: Named | None = None,
        fresh: frozenset[str] = frozenset(),
    ) -> None:
        """`several`: the same is planned for other platforms too, and titles tell for which. `fresh` are the stages to build
        whatever the cache has."""
        self._named = named or Named()
        self._bases: list[checks.Known] = []
        self._fresh_stages = {one.lower() for one in fresh}
        self._fresh: set[Vertex] = set()
        self._dockerfile, self._options, self._find_image = dockerfile, options, find_image
        self._platform = options.platform or platforms.host()
        self._several = several
        self._made: dict[int, Made] = {}
        self._begun: set[int] = set()
        self._contexts: dict[str, Vertex] = {}
        self._images: dict[tuple[str, str], Base] = {}
        self._scanned: dict[str, Vertex] = {}

    async def plan(self) -> Plan:
        """Raises `DockerfileError`, and `NotFound` for images that are not there."""
        target = self._target()
        given = automatic(target.base.name, self._platform, platforms.host())
        self._global, self._empty = global_scope(
            self._dockerfile.arguments, self._options.arguments, given, self._dockerfile.escape
        )
        made = await self._stage(target)
        config = made.config
        if self._options.labels:
            labels = {**(config.labels or {}), **self._options.labels}
            config = msgspec.structs.replace(config, labels=labels)
        scanned = {name: vertex for name, vertex in self._scanned.items() if vertex is not made.vertex}
        return Plan(
            made.vertex,
            config,
            tuple(made.history),
            made.author,
            self._platform_made(target, made),
            made.image,
            frozenset(self._fresh),
            scanned,
            scans_context=self._asks(SCAN_CONTEXT, target, made),
            bases=tuple(self._bases),
            epoch=self._global.get(times.ARGUMENT, ""),
        )

    def _platform_made(self, target: Stage, made: Made) -> Platform:
        """What the result is for: what was asked for, but a stage may say otherwise, and, where nothing was asked for, its base
        image by being for one other platform alone."""
        own, wanted = made.platform, self._platform
        if own is None or not own.architecture:
            return wanted
        other = (own.os, own.architecture) != (wanted.os, wanted.architecture)
        return own if target.base.platform or (other and self._options.platform is None) else wanted

    def _asks(self, name: str, stage: Stage, made: Made) -> bool:
        """Whether the argument `name`, of the stage or before all of them, is true or names the stage."""
        text = made.scope.args.get(name) or self._global.get(name)
        return text is not None and (text.lower() in ("1", "true") or stage.base.name in text.split(","))

    def _target(self) -> Stage:
        if not self._options.target:
            return self._dockerfile.stages[-1]
        return self._dockerfile.target(self._options.target)

    async def _stage(self, stage: Stage) -> Made:
        if stage.number in self._made:
            return self._made[stage.number]
        self._begun.add(stage.number)
        platform = self._platform_of(stage)
        if stage.base.name and (given := self._named.find(stage.base.name, platform)) is not None:
            self._made[stage.number] = made = await self._of_context(stage.base.name, given, platform, stage)
            self._begun.discard(stage.number)
            return made
        counting = Titles(0, self._label(stage), platform if self._several else None)
        made = await self._begin(stage, counting)
        triggers = self._triggers(stage, made)
        own = [*triggers, *stage.instructions]
        counting.total += sum(map(changes_files, triggers))
        for number, one in enumerate(own):
            effects = Effects(
                stage,
                made,
                counting,
                self.source,
                self._options.network,
                trigger=number < len(triggers),
                place=f"{stage.base.name or stage.number}/{number}/{platform}",
                files=self._named.files,
            )
            before = made.vertex
            await effects.apply(one)
            if made.vertex is not before and stage.base.name.lower() in self._fresh_stages:
                self._fresh.add(made.vertex)
        self._made[stage.number] = made
        self._begun.discard(stage.number)
        if self._asks(SCAN_STAGE, stage, made):
            self._scanned[stage.base.name or f"stage-{stage.number}"] = made.vertex
        return made

    def _label(self, stage: Stage) -> str:
        """What the titles of a stage's steps begin with: nothing where there is but one place that files come from."""
        stages = self._dockerfile.stages
        if len(stages) == 1 and not any(_reads_elsewhere(one) for one in stage.instructions):
            return ""
        return stage.base.name or f"stage-{stage.number}"

    async def _begin(self, stage: Stage, counting: Titles) -> Made:
        base, dockerfile = stage.base, self._dockerfile
        name = expand_at(base.image, self._global, dockerfile.escape, base.line).text
        if not name:
            raise base.line.error(f"base name ({base.image}) should not be blank", hint="give its ARG a value")
        counting.total = sum(map(changes_files, stage.instructions))
        earlier = dockerfile.stage(name, stage.number)
        if earlier is not None:
            below = await self._stage(earlier)
            return Made(
                below.vertex,
                below.config,
                list(below.history),
                below.author,
                below.image,
                below.scope.inherited(),
                platform=below.platform,
            )
        platform = self._platform_of(stage)
        if (context := self._named.find(name, platform)) is not None:
            return await self._of_context(name, context, platform, stage)
        if name == "scratch":
            return self._on_nothing(Scratch(), [], platform)
        counting.total += 1
        made = self._on_image(await self.image(name, platform, base.line, counting))
        vertex = made.vertex
        assert isinstance(vertex, Base)
        self._bases.append(
            checks.Known(base.line, base.image, name, dict(made.scope.env), vertex.image.platform, platform)
        )
        return made

    def _on_image(self, vertex: Base) -> Made:
        image = vertex.image
        run = _with_path(image.config.run)
        env = dict(pair.partition("=")[::2] for pair in run.env or ())
        recorded = list(image.config.history or ())
        scope = Scope(self._dockerfile.escape, self._options.arguments, self._global, env)
        return Made(vertex, run, recorded, image.config.author, image, scope, platform=image.platform)

    async def _of_context(self, name: str, given: Context | str, platform: Platform, stage: Stage) -> Made:
        """A stage that is a named context."""
        vertex = await self._context(name, given, platform, stage.base.line)
        if isinstance(vertex, Base):
            return self._on_image(vertex)
        if isinstance(vertex, Scratch):
            return self._on_nothing(vertex, [], platform)
        if isinstance(given, str) and given.startswith(STAGE):
            return self._made[self._stage_of(name, given, stage.base.line).number]
        recorded = [History(created_by=f"FROM {name}", comment=created_by.COMMENT)]
        files = Copy(title=f"FROM {name}", base=Scratch(), source=vertex, paths=("/",), destination="/")
        return self._on_nothing(files, recorded, platform)

    def _on_nothing(self, vertex: Vertex, recorded: list[History], platform: Platform) -> Made:
        """A stage whose files no image brings. Its working directory is told, as BuildKit does."""
        run = _with_path(RunConfig(working_dir="/"))
        env = dict(pair.partition("=")[::2] for pair in run.env or ())
        scope = Scope(self._dockerfile.escape, self._options.arguments, self._global, env)
        return Made(vertex, run, recorded, "", None, scope, platform=platform)

    async def _context(self, name: str, given: Context | str, platform: Platform, line: Line) -> Vertex:
        """The files of a named context. Raises `DockerfileError`, and as `find_image` does."""
        if isinstance(given, str) and given.startswith(IMAGE):
            image = given.removeprefix(IMAGE)
            return Scratch() if image == "scratch" else await self.image(image, platform, line)
        if isinstance(given, str) and given.startswith(LAYOUT):
            return await self.image(given, platform, line)
        if isinstance(given, str) and given.startswith(STAGE):
            return (await self._stage(self._stage_of(name, given, line))).vertex
        if name not in self._contexts:
            try:
                self._contexts[name] = self._named.source(name, given, (line.start, line.end))
            except Invalid as error:
                raise line.error(str(error)) from None
        return self._contexts[name]

    def _stage_of(self, name: str, given: str, line: Line) -> Stage:
        found = self._dockerfile.stage(given.removeprefix(STAGE))
        if found is None:
            raise line.error(f"the context {name} is {given}, and there is no such stage")
        if found.number in self._begun:
            raise line.error(f"the context {name} is {given}, which needs it itself")
        return found

    def _platform_of(self, stage: Stage) -> Platform:
        written, line = stage.base.platform, stage.base.line
        if not written:
            return self._platform
        found = expand_at(written, self._global, self._dockerfile.escape, line)
        near = [one for name in sorted(found.unset) for one in difflib.get_close_matches(name, self._global, 1)]
        hint = f"did you mean {near[0]}?" if near else ""
        if not found.text:
            raise line.error(f"empty platform value from expression {written}", hint=hint)
        try:
            return platforms.parse(found.text)
        except Invalid as error:
            raise line.error(f"failed to parse platform {written}: {error}", hint=hint) from None

    def _triggers(self, stage: Stage, made: Made) -> list[Instruction]:
        found: list[Instruction] = []
        for text in made.config.on_build or ():
            where = Source(text, f"ONBUILD of {stage.base.image}")
            try:
                found += [language.parse(line, "\\") for line in scan(where).lines]
            except DockerfileError as error:
                raise stage.base.line.error(str(error)) from None
        if made.config.on_build:
            made.config = msgspec.structs.replace(made.config, on_build=None)
        return found

    async def image(self, name: str, platform: Platform, line: Line, counting: Titles | None = None) -> Base:
        """The image `name`, looked up once a build; `counting` where a stage begins with it. Raises as `find_image` does."""
        key = (name, str(platform))
        if key not in self._images:
            try:
                image = await self._find_image(name, platform)
            except Invalid as error:
                raise line.error(str(error)) from None
            title = titles.of_base(name, image)
            self._images[key] = Base(
                title=title if counting is None else counting.next(title),
                image=image,
                reference=name,
                lines=(line.start, line.end),
                written="" if counting is None else line.text,
            )
        elif counting is not None:
            counting.next("")  # the step is another stage's too, and has its title
        return self._images[key]

    async def source(self, name: str, stage: Stage, line: Line) -> Vertex:
        """What `--from=NAME` means: an earlier stage, else an image."""
        earlier = self._dockerfile.stage(name, stage.number)
        if earlier is not None:
            return (await self._stage(earlier)).vertex
        if name == "scratch":
            return Scratch()
        if name.isascii() and name.isdigit():
            raise line.error(f"invalid stage index {name}", hint="there is no such stage before this one")
        later = self._dockerfile.stage(name)
        if later is not None:
            here = stage.base.name or f"stage-{stage.number}"
            why = f'it needs to be defined before current stage "{here}"'
            raise line.error(f'cannot copy from stage "{name}", {why}', hint="move it up")
        if (context := self._named.find(name, self._platform)) is not None:
            return await self._context(name, context, self._platform, line)
        return await self.image(name, self._platform, line)


def _reads_elsewhere(one: Instruction) -> bool:
    """Whether an instruction names files beside its stage's own and the context's, as BuildKit counts them."""
    return (
        bool(one.from_)
        if isinstance(one, language.copy.Copy)
        else isinstance(one, language.run.Run) and bool(one.mounts)
    )


def _with_path(run: RunConfig) -> RunConfig:
    """The configuration with a PATH, which every image that is built has."""
    if any(pair.startswith("PATH=") for pair in run.env or ()):
        return run
    return msgspec.structs.replace(run, env=(*(run.env or ()), f"PATH={DEFAULT_PATH}"))
