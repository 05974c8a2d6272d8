"""What the shell may offer next: `dockwright __complete WORD...`, one candidate a line, the last word being typed.

A line is a candidate, or a candidate, a tab and what it is. The line `:files` asks the shell for file names.
"""

from __future__ import annotations

from dockwright import errors
from dockwright.cli import index
from dockwright.cli.flags import HelpWanted, Parser, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dockwright.cli.command import Command
    from dockwright.cli.flags import Flag
    from dockwright.cli.session import Session

_FILES = ":files"


def complete(session: Session, global_flags: Sequence[Flag], words: Sequence[str]) -> int:
    """Print the candidates for the last of `words`; says nothing where something is wrong."""
    *before, current = words or [""]
    try:
        found = sorted(set(_candidates(session, global_flags, before, current)))
    except (errors.DockwrightError, OSError, UsageError, HelpWanted):
        found = []
    session.out("".join(f"{line}\n" for line in found if line == _FILES or line.startswith(current)))
    return 0


def _candidates(session: Session, global_flags: Sequence[Flag], before: Sequence[str], current: str) -> Iterator[str]:
    waiting = _flag_waiting(global_flags, before)
    if waiting is not None and not _words_after(global_flags, before[:-1]):
        yield from _values(session, waiting.complete)
        return
    words = _words_after(global_flags, before)
    found = index.find(words) if words else None
    if found is None:
        yield from _commands(words)
        if not words and current.startswith("-"):
            yield from _options(global_flags)
        return
    command, _, count = found
    yield from _of_command(session, command, words[count:], current)


def _words_after(flags: Sequence[Flag], words: Sequence[str]) -> list[str]:
    """What follows the options of the program itself."""
    try:
        return Parser(flags, interspersed=False).parse(words)[1]
    except UsageError:
        return []


def _flag_waiting(flags: Sequence[Flag], words: Sequence[str]) -> Flag | None:
    """The option that the next word is the value of."""
    last = words[-1] if words else ""
    for flag in flags:
        if flag.kind != "bool" and last in (f"--{flag.name}", f"-{flag.short}" if flag.short else None):
            return flag
    return None


def _commands(words: Sequence[str]) -> Iterator[str]:
    noun = words[0] if words and words[0] in index.NOUNS else ""
    if words and not noun:
        return
    for command in index.everything():
        for name in command.names:
            head, _, tail = name.rpartition(" ")
            if head == noun:
                yield f"{tail}\t{command.summary}"
    if not noun:
        yield from (f"{name}\t{summary}" for name, summary in index.NOUNS.items())


def _options(flags: Sequence[Flag]) -> Iterator[str]:
    return (f"--{flag.name}\t{flag.help}" for flag in flags if not flag.hidden)


def _of_command(session: Session, command: Command, words: Sequence[str], current: str) -> Iterator[str]:
    waiting = _flag_waiting(command.flags, words)
    if waiting is not None:
        yield from _values(session, waiting.complete)
        return
    try:
        _, arguments = Parser(command.flags, interspersed=command.interspersed).parse(words)
    except UsageError:
        return
    if current.startswith("-") and (command.interspersed or not arguments):
        yield from _options(command.flags)
        return
    if command.completes and (command.arguments.high is None or len(arguments) < command.arguments.high):
        kind = command.completes[min(len(arguments), len(command.completes) - 1)]
        taken = set(arguments)
        yield from (one for one in _values(session, kind) if one not in taken)


def _values(session: Session, kinds: str) -> Iterator[str]:
    for kind in filter(None, kinds.split("+")):
        yield from _SOURCES[kind](session)


def _containers(session: Session, *, everything: bool = True) -> Iterator[str]:
    from dockwright.client.calls import containers

    for row in session.client.json(containers.list(all=everything)):
        yield from (name.removeprefix("/") for name in row["Names"] if "/" not in name.removeprefix("/"))


def _running(session: Session) -> Iterator[str]:
    return _containers(session, everything=False)


def _images(session: Session) -> Iterator[str]:
    from dockwright.client.calls import images

    for row in session.client.json(images.list()):
        for name in row.get("RepoTags") or ():
            if "<none>" not in name:
                yield name
                yield name.removesuffix(":latest")


def _contexts(session: Session) -> Iterator[str]:
    from dockwright.client.contexts import Store

    yield "default"
    yield from Store(session.config.directory).names()


def _networks(session: Session) -> Iterator[str]:
    from dockwright.client.calls import networks

    for row in session.client.json(networks.list()):
        yield row["Name"]


def _files(session: Session) -> Iterator[str]:
    yield _FILES


def _volumes(session: Session) -> Iterator[str]:
    from dockwright.client.calls import volumes

    for row in session.client.json(volumes.list()).get("Volumes") or ():
        yield row["Name"]


def _shells(session: Session) -> Iterator[str]:
    yield from ("bash", "fish", "zsh")


_SOURCES: dict[str, Callable[[Session], Iterator[str]]] = {
    "containers": _containers,
    "contexts": _contexts,
    "files": _files,
    "images": _images,
    "networks": _networks,
    "running": _running,
    "shells": _shells,
    "volumes": _volumes,
}
