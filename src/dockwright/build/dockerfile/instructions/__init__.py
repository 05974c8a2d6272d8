"""The instructions, one file each: what they are made of, and how their arguments are read.

A module has a frozen dataclass and `parse(arguments)`. `KEYWORDS` finds it by the instruction's name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable

from dockwright.build.dockerfile import words
from dockwright.build.dockerfile.instructions import (
    add,
    arg,
    cmd,
    copy,
    entrypoint,
    env,
    expose,
    from_,
    healthcheck,
    label,
    maintainer,
    onbuild,
    run,
    shell,
    stopsignal,
    user,
    volume,
    workdir,
)
from dockwright.build.dockerfile.instructions.base import Arguments, Instruction
from dockwright.build.dockerfile.lines import Line

KEYWORDS: dict[str, Callable[[Arguments], Instruction]] = {
    "ADD": add.parse,
    "ARG": arg.parse,
    "CMD": cmd.parse,
    "COPY": copy.parse,
    "ENTRYPOINT": entrypoint.parse,
    "ENV": env.parse,
    "EXPOSE": expose.parse,
    "FROM": from_.parse,
    "HEALTHCHECK": healthcheck.parse,
    "LABEL": label.parse,
    "MAINTAINER": maintainer.parse,
    "ONBUILD": onbuild.parse,
    "RUN": run.parse,
    "SHELL": shell.parse,
    "STOPSIGNAL": stopsignal.parse,
    "USER": user.parse,
    "VOLUME": volume.parse,
    "WORKDIR": workdir.parse,
}


def parse(line: Line, escape: str) -> Instruction:
    """The instruction of one logical line. Raises `DockerfileError`."""
    keyword, *_ = line.text.split(None, 1)
    name = keyword.upper()
    if name not in KEYWORDS:
        near = difflib.get_close_matches(name, KEYWORDS, 1)
        raise line.error(f"unknown instruction: {keyword}", 0, len(keyword), f"did you mean {near[0]}?" if near else "")
    flags, rest = words.flags(line.text[len(keyword) :], escape, len(keyword))
    if name == "ONBUILD":
        flags, rest = [], words.Word(" ".join([*(flag.text for flag in flags), rest.text]).strip(), rest.offset)
    return KEYWORDS[name](Arguments(name, line, escape, flags, rest))
