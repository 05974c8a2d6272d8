"""`ARG NAME[=DEFAULT] ...`: variables that whoever builds may set."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Expander, Instruction


@dataclass(frozen=True, kw_only=True)
class Arg(Instruction):
    """Names with their defaults; None where there is none. Each default sees the names before it: the caller expands."""

    pairs: tuple[tuple[str, str | None], ...]

    def expanded(self, expander: Expander) -> Arg:
        """Every default expanded on its own terms."""
        pairs = tuple((name, None if value is None else expander(value)) for name, value in self.pairs)
        return Arg(line=self.line, pairs=pairs)


def parse(arguments: Arguments) -> Arg:
    """See the module. Raises `DockerfileError`."""
    arguments.no_flags()
    found = arguments.words()
    if not found:
        raise arguments.error("ARG requires at least one argument")
    pairs = []
    for word in found:
        name, equals, value = word.text.partition("=")
        if not name:
            raise arguments.error("ARG names can not be blank", word)
        pairs.append((name, value if equals else None))
    return Arg(line=arguments.line, pairs=tuple(pairs))
