"""`COPY [OPTIONS] SRC ... DEST`: files of the context, of another stage or of an image."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.heredoc import Heredoc
from dockwright.build.dockerfile.instructions import sources
from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class Copy(Instruction):
    """`from_` is empty for the context. `inline` are files written in the Dockerfile."""

    paths: tuple[str, ...] = expands()
    destination: str = expands()
    inline: tuple[Heredoc, ...] = ()
    from_: str = ""
    chown: str = expands(default="")
    chmod: str = expands(default="")
    exclude: tuple[str, ...] = expands(default=())
    link: bool = False
    parents: bool = False


def parse(arguments: Arguments) -> Copy:
    """See the module. Raises `DockerfileError`."""
    options = arguments.options(texts="from chown chmod", lists="exclude", switches="link parents")
    taken = sources.parse(arguments)
    return Copy(
        line=arguments.line,
        paths=taken.paths,
        destination=taken.destination,
        inline=taken.inline,
        from_=options.text("from"),
        chown=options.text("chown"),
        chmod=options.text("chmod"),
        exclude=tuple(word.text for word in options.many("exclude")),
        link=bool(options.on("link")),
        parents=bool(options.on("parents")),
    )
