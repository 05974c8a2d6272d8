"""`ADD [OPTIONS] SRC ... DEST`: as COPY, and URLs, git repositories, and archives that are unpacked."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile.heredoc import Heredoc
from dockwright.build.dockerfile.instructions import sources
from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands


@dataclass(frozen=True, kw_only=True)
class Add(Instruction):
    """`unpack` is None where nothing was said: local archives are unpacked then, remote ones are not."""

    paths: tuple[str, ...] = expands()
    destination: str = expands()
    inline: tuple[Heredoc, ...] = ()
    chown: str = expands(default="")
    chmod: str = expands(default="")
    checksum: str = expands(default="")
    exclude: tuple[str, ...] = expands(default=())
    keep_git_dir: bool | None = None
    link: bool = False
    unpack: bool | None = None


def parse(arguments: Arguments) -> Add:
    """See the module. Raises `DockerfileError`."""
    options = arguments.options(texts="chown chmod checksum", lists="exclude", switches="keep-git-dir link unpack")
    taken = sources.parse(arguments)
    return Add(
        line=arguments.line,
        paths=taken.paths,
        destination=taken.destination,
        inline=taken.inline,
        chown=options.text("chown"),
        chmod=options.text("chmod"),
        checksum=options.text("checksum"),
        exclude=tuple(word.text for word in options.many("exclude")),
        keep_git_dir=options.on("keep-git-dir"),
        link=bool(options.on("link")),
        unpack=options.on("unpack"),
    )
