"""A Dockerfile as a whole: directives, the ARGs before the first FROM, and the stages."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from dockwright.build.dockerfile import instructions
from dockwright.build.dockerfile.errors import Span
from dockwright.build.dockerfile.instructions.arg import Arg
from dockwright.build.dockerfile.instructions.base import Instruction
from dockwright.build.dockerfile.instructions.from_ import From
from dockwright.build.dockerfile.lines import Source, scan
from dockwright.errors import Invalid

# As long as any Dockerfile that a person or a generator has written, and short enough to be read at once.
LIMIT_BYTES = 16 * 1024 * 1024


@dataclass
class Stage:
    """A FROM and what follows it. `number` counts from 0."""

    number: int
    base: From
    instructions: list[Instruction] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What others call it: its name, else its number."""
        return self.base.name or str(self.number)


@dataclass
class Dockerfile:
    """`directives`: `syntax`, `escape` and `check`, where given, with the line."""

    source: Source
    escape: str
    directives: dict[str, tuple[str, int]]
    arguments: list[Arg]
    stages: list[Stage]

    def stage(self, name: str, before: int | None = None) -> Stage | None:
        """The stage called `name` (a name or a number), among the first `before` ones; the last of that name."""
        known = self.stages[:before]
        wanted = name.lower()
        found = [stage for stage in known if stage.base.name == wanted]
        if found:
            return found[-1]
        number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 6 else len(known)
        return known[number] if number < len(known) else None

    def target(self, name: str) -> Stage:
        """The stage `name` to be built, the last one where it is empty. Raises `Invalid`."""
        found = self.stage(name) if name else self.stages[-1]
        if found is None:
            near = difflib.get_close_matches(name, [stage.base.name for stage in self.stages], 1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise Invalid(f'target stage "{name}" could not be found{hint}')
        return found


def parse(text: str | bytes, name: str = "Dockerfile") -> Dockerfile:
    """Read a Dockerfile. `name` is what errors call it. Raises `DockerfileError`."""
    source = Source(_decoded(text, name), name)
    found = scan(source)
    if not found.lines:
        raise source.error("file with no instructions", Span(1, 1))
    arguments: list[Arg] = []
    stages: list[Stage] = []
    for line in found.lines:
        one = instructions.parse(line, found.escape)
        if isinstance(one, From):
            stages.append(Stage(len(stages), one))
        elif stages:
            stages[-1].instructions.append(one)
        elif isinstance(one, Arg):
            arguments.append(one)
        else:
            raise line.error(f"no build stage in current context: {one.keyword} stands before the first FROM")
    if not stages:
        raise source.error("dockerfile contains no stages to build", Span(1, 1), "begin one with FROM")
    return Dockerfile(source, found.escape, found.directives, arguments, stages)


def _decoded(text: str | bytes, name: str) -> str:
    if len(text) > LIMIT_BYTES:
        raise Source("", name).error(f"the file is longer than {LIMIT_BYTES} bytes", Span(1, 1))
    if isinstance(text, str):
        return text
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start].decode(errors="replace")
        place = Span(before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise Source(text.decode(errors="replace"), name).error("the file is not UTF-8 text", place) from None
