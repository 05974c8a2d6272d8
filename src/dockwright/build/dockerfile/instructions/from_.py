"""`FROM [--platform=PLATFORM] IMAGE [AS NAME]`: begins a stage."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dockwright.build.dockerfile.instructions.base import Arguments, Instruction, expands

_STAGE_NAME = re.compile(r"[a-z][a-z0-9._-]*")


@dataclass(frozen=True, kw_only=True)
class From(Instruction):
    """`image` may be an earlier stage's name, or `scratch`. `name` is lower-case."""

    image: str = expands()
    platform: str = expands(default="")
    name: str = ""


def parse(arguments: Arguments) -> From:
    """See the module. Raises `DockerfileError`."""
    options = arguments.options(texts="platform")
    found = arguments.plain_words()
    if len(found) not in (1, 3) or (len(found) == 3 and found[1].text.upper() != "AS"):
        raise arguments.error("FROM requires either one or three arguments", hint="FROM image [AS name]")
    name = found[2].text.lower() if len(found) == 3 else ""
    if name and not _STAGE_NAME.fullmatch(name):
        why = "name can't start with a number or contain symbols"
        raise arguments.error(f'invalid name for build stage: "{found[2].text}", {why}', found[2])
    return From(line=arguments.line, image=found[0].text, platform=options.text("platform"), name=name)
