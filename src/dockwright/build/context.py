"""A build's context: a directory, and what its ignore file leaves out of it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from dockwright import archive, rooted
from dockwright.errors import Invalid, NotFound
from dockwright.ignoring import Patterns, read_ignore_file

FILE_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Context:
    """`root` is only read. `seen` is where it is kept what builds found in its files, where later ones are to know."""

    root: Path
    ignored: Patterns = field(default_factory=lambda: Patterns([]))
    seen: Path | None = None

    @classmethod
    def at(cls, root: Path, dockerfile: str) -> Context:
        """The directory `root` with the ignore file that goes with `dockerfile`. Blocking. Raises `Invalid`."""
        for name in (f"{dockerfile}.dockerignore", ".dockerignore"):
            if text := rooted.read_file(root, name):
                return cls(root, read_ignore_file(text.decode(errors="replace")))
        return cls(root)

    def read(self, name: str) -> bytes:
        """A file of the context, the Dockerfile say, ignored or not. Blocking. Raises `NotFound`, `Invalid`."""
        with archive.Root(self.root) as root:
            try:
                fd = root.open(os.fsencode(name.strip("/")), os.O_RDONLY | os.O_NONBLOCK)
            except OSError as error:
                raise NotFound(f"cannot locate specified Dockerfile: {name}: {error.strerror}") from None
        with os.fdopen(fd, "rb") as file:
            try:
                content = file.read(FILE_LIMIT + 1)
            except IsADirectoryError:
                raise Invalid(f"{name} is a directory") from None
        if len(content) > FILE_LIMIT:
            raise Invalid(f"{name} is longer than {FILE_LIMIT} bytes")
        return content

    def leaves_out(self, path: bytes, is_directory: bool) -> bool:
        """Whether the ignore file takes `path` away; asked with `is_directory`, whether all below it is taken away, too."""
        text = os.fsdecode(path)
        return self.ignored.matches(text) and not (is_directory and self.ignored.may_hold_exceptions(text))
