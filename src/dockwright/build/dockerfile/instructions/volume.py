"""`VOLUME PATH ...`: directories that containers keep outside of their own layer."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class Volume(Instruction):
    """Absolute paths in the container."""

    paths: tuple[str, ...] = expands()


def parse(arguments: Arguments) -> Volume:
    """See the module. Raises `DockerfileError`."""
    arguments.no_flags()
    array = arguments.json()
    found = [word.text for word in arguments.plain_words()] if array is None else array
    if not found:
        raise arguments.error("VOLUME requires at least one argument")
    if not all(path.strip() for path in found):
        raise arguments.error("VOLUME specified can not be an empty string", arguments.rest)
    return Volume(line=arguments.line, paths=tuple(found))
