"""`--help`: what a command does, how it is called, what it takes. Imported when somebody asks."""

from __future__ import annotations

from dockwright.cli import index
from dockwright.cli.command import PROGRAM
from dockwright.cli.terminal.raw import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dockwright.cli.command import Command
    from dockwright.cli.flags import Flag
    from dockwright.cli.session import Session

_WIDTH = 80
_NOT_A_DEFAULT = (None, 0, False, "", "map[]")
_COMMON = ("run", "exec", "ps", "logs", "images", "inspect", "stop", "rm")


def show(session: Session, name: str) -> int:
    """Print the help of a command, of a noun, or of the program for the empty name. Returns the exit status."""
    if not name:
        session.out(_program())
    elif name in index.NOUNS:
        session.out(_noun(name))
    else:
        words = name.split(" ")
        found = index.find(words)
        if found is None or found[2] != len(words):
            from dockwright.cli.command import ExitStatus
            from dockwright.cli.unknown import explain

            raise ExitStatus(*explain(words))
        session.out(_command(found[0], name))
    return 0


def _width() -> int:
    found = size()
    return max(60, min(found[1], 120)) if found else _WIDTH


def _command(command: Command, name: str) -> str:
    parts = [command.usage_line(name), command.summary]
    if command.about:
        parts.append(command.about)
    if len(command.names) > 1:
        parts.append("Aliases:\n  " + ", ".join(f"{PROGRAM} {alias}" for alias in command.names))
    flags = sorted((flag for flag in command.flags if not flag.hidden), key=lambda flag: flag.name)
    if flags:
        parts.append("Options:\n" + options_text(flags))
    return "\n\n".join(parts).rstrip() + "\n"


def _noun(noun: str) -> str:
    rows = _rows(
        (command.names[0].removeprefix(noun + " "), command)
        for command in index.everything()
        if command.names[0].startswith(noun + " ")
    )
    return (
        f"Usage:  {PROGRAM} {noun} COMMAND\n\n{index.NOUNS[noun]}\n\nCommands:\n{rows}\n"
        f"Run '{PROGRAM} {noun} COMMAND --help' for more information on a command.\n"
    )


def _program() -> str:
    from dockwright.cli.main import global_flags

    short = {alias: command for command in index.everything() for alias in command.names if " " not in alias}
    nouns = "".join(f"  {noun:<12}{summary}\n" for noun, summary in sorted(index.NOUNS.items()))
    return (
        f"Usage:  {PROGRAM} [OPTIONS] COMMAND\n\n"
        "Runs containers: creates, starts, watches and removes them on an engine near or far\n\n"
        f"Common Commands:\n{_rows((name, short[name]) for name in _COMMON if name in short)}\n"
        f"Management Commands:\n{nouns}\n"
        f"Commands:\n{_rows((name, short[name]) for name in sorted(short) if name not in _COMMON)}\n"
        f"Global Options:\n{options_text(sorted(global_flags(), key=lambda flag: flag.name))}\n"
        f"Run '{PROGRAM} COMMAND --help' for more information on a command.\n"
    )


def _rows(commands: Iterable[tuple[str, Command]]) -> str:
    return "".join(f"  {name:<12}{command.summary}\n" for name, command in commands)


def options_text(flags: Sequence[Flag]) -> str:
    """One line or more an option, descriptions in a column and broken at words."""
    from textwrap import wrap

    lefts = [_left(flag) for flag in flags]
    column = max(len(left) for left in lefts) + 3
    lines = []
    for left, flag in zip(lefts, flags, strict=True):
        first, *rest = wrap(flag.help + _default(flag), max(24, _width() - column)) or [""]
        lines.append(f"{left:<{column}}{first}".rstrip())
        lines += [" " * column + line for line in rest]
    return "".join(f"{line}\n" for line in lines)


def _left(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    kinds = {"bool": "", "int64": " int", "uint16": " uint16", "stringSlice": " strings", "stringToString": " pairs"}
    return f"  {short}--{flag.name}{kinds.get(flag.kind, f' {flag.kind}')}"


def _default(flag: Flag) -> str:
    if flag.default in _NOT_A_DEFAULT or (flag.kind == "int64" and flag.default == -1):
        return ""
    if isinstance(flag.default, bool):
        return " (default true)"
    return f" (default {flag.default})" if flag.kind != "string" else f' (default "{flag.default}")'
