"""Words that are no command: what they may have meant, and which of Docker's commands are not here yet."""

from __future__ import annotations

from dockwright.cli import index
from dockwright.cli.command import PROGRAM
from dockwright.cli.suggest import closest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_ONE_ENGINE = "this release drives one engine at a time"

_LATER = {
    "buildx": "'build' makes images",
    "bake": "'build' makes images, one at a time",
    "compose": "containers are started one at a time with 'run'",
    "plugin": "logging, volumes and networks are built in",
    "checkpoint": "'pause' and 'unpause' hold a container in place",
    "swarm": _ONE_ENGINE,
    "node": _ONE_ENGINE,
    "service": _ONE_ENGINE,
    "stack": _ONE_ENGINE,
    "secret": _ONE_ENGINE,
    "config": _ONE_ENGINE,
    "trust": "images are trusted by their digest",
}


def explain(words: Sequence[str]) -> tuple[int, str]:
    """The exit status and the message for `words`."""
    noun = words[0] if words[0] in index.NOUNS else ""
    name = " ".join(words[: 2 if noun else 1])
    last = name.split(" ")[-1]
    if last in _LATER:
        return 1, f"{PROGRAM}: '{PROGRAM} {name}' is not there yet: in this release {_LATER[last]}"
    called = f"{PROGRAM} {noun}".rstrip()
    lines = [f"{PROGRAM}: unknown command: {PROGRAM} {name}", ""]
    known = _known(noun)
    if found := closest(last, known):
        lines += [f"Did you mean '{called} {found}'?", ""]
    if noun:
        lines += [f"Usage:  {called} COMMAND", ""]
    return 1, "\n".join([*lines, f"Run '{called} --help' for more information"])


def _known(noun: str) -> list[str]:
    names = [name for command in index.everything() for name in command.names]
    if noun:
        return [name.removeprefix(noun + " ") for name in names if name.startswith(noun + " ")]
    return [name for name in names if " " not in name] + list(index.NOUNS)
