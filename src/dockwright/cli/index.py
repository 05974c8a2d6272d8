"""From words to a command: `container run` is `commands/container/run.py`, and so is `run`.

Nothing is registered: a command's file is found by its name, and what it calls itself (`Command.names`) is the authority.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dockwright.cli.command import Command

_PACKAGE = "dockwright.cli.commands"
NOUNS = {
    "container": "Work with containers",
    "image": "Work with images",
    "builder": "Look after what builds keep",
    "manifest": "Work with manifest lists: one name for an image on several platforms",
    "network": "Work with networks",
    "context": "Choose between engines",
    "system": "Look after the engine",
    "volume": "Work with volumes",
}

_RESERVED = {"import": "import_"}

# Names that differ from their file's: only to spare the search through all files, a missing one costs time alone.
_HINTS = {
    "ps": "container ls",
    "images": "image ls",
    "rmi": "image rm",
    "container ps": "container ls",
    "container list": "container ls",
    "container remove": "container rm",
    "image list": "image ls",
    "image remove": "image rm",
    "network list": "network ls",
    "network remove": "network rm",
    "context list": "context ls",
    "context remove": "context rm",
    "volume list": "volume ls",
    "volume remove": "volume rm",
}


def find(words: Sequence[str]) -> tuple[Command, str, int] | None:
    """The command that `words` begin with, the name it was called by, and how many words that is."""
    for count in (2, 1):
        name = " ".join(words[:count])
        if len(words) < count or (count == 2 and words[0] not in NOUNS):
            continue
        command = _load(_HINTS.get(name, name), name) or _search(name)
        if command is not None:
            return command, name, count
    return None


def _load(home: str, name: str) -> Command | None:
    """The command `name` in the file where `home` would be."""
    noun, _, verb = home.rpartition(" ")
    places = (noun,) if noun else ("", "container", "image", "system")
    for place in places:
        command = _import(place, verb)
        if command is not None and name in command.names:
            return command
    return None


def _import(noun: str, verb: str) -> Command | None:
    file_name = _RESERVED.get(verb) or verb.replace("-", "_")
    if not file_name.isidentifier() or file_name.startswith("_"):
        return None
    return _command_of(f"{_PACKAGE}.{noun}.{file_name}" if noun else f"{_PACKAGE}.{file_name}")


def _command_of(module: str) -> Command | None:
    try:
        __import__(module)
    except ModuleNotFoundError as error:
        # Only the file itself may be missing; what it imports may not.
        if error.name and module.startswith(error.name):
            return None
        raise
    found: Command | None = getattr(sys.modules[module], "COMMAND", None)
    return found


def _search(name: str) -> Command | None:
    for command in everything():
        if name in command.names:
            return command
    return None


def everything() -> Iterator[Command]:
    """Every command, canonical names in order; imports all files."""
    from pkgutil import iter_modules

    root = sys.modules.get(_PACKAGE) or __import__(_PACKAGE, fromlist=["commands"])
    found = []
    for noun in ("", *NOUNS):
        paths = [f"{path}/{noun}" if noun else path for path in root.__path__]
        for info in iter_modules(paths):
            command = None if info.ispkg else _command_of(".".join(filter(None, (_PACKAGE, noun, info.name))))
            if command is not None:
                found.append(command)
    yield from sorted(found, key=lambda command: command.names[0])
