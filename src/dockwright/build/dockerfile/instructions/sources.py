"""What COPY and ADD take: paths, or files written in the Dockerfile itself as here-documents; then the destination."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.heredoc import Heredoc, opening
from dockwright.build.dockerfile.instructions.base import Arguments


@dataclass(frozen=True)
class Taken:
    """Paths, here-documents and where both go."""

    paths: tuple[str, ...]
    inline: tuple[Heredoc, ...]
    destination: str


def parse(arguments: Arguments) -> Taken:
    """See the module. Raises `DockerfileError`."""
    found = arguments.json_or_words()
    if len(found) < 2:
        if not found:
            raise arguments.error(f"{arguments.keyword} requires at least two arguments: a source and a destination")
        why = "but only one was provided. Destination could not be determined"
        raise arguments.error(f"{arguments.keyword} requires at least two arguments, {why}")
    *sources, destination = found
    if arguments.line.heredocs and opening(destination.text, arguments.escape) is not None:
        raise arguments.error(f"{arguments.keyword} cannot accept a heredoc as a destination", destination)
    inline = tuple(arguments.line.heredocs) if arguments.json() is None else ()
    paths = [word.text for word in sources if not inline or opening(word.text, arguments.escape) is None]
    return Taken(tuple(paths), inline, destination.text)
