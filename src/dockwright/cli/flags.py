"""Options as Docker's command line reads them (the grammar of Go's pflag): declared once, used to parse, explain and complete.

This file is imported by every command: it imports nothing that is not loaded already.
"""

from __future__ import annotations

from dockwright.cli import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Converter = Callable[[str], Any]


class UsageError(Exception):
    """The command line cannot be understood; printed with the command's usage, exit status 125."""


class HelpWanted(Exception):
    """`--help` was given."""


class Flag:
    """One option.

    `kind` is the name shown after it in `--help` and the name of its converter in `values.CONVERTERS`; `repeats` collects
    a list. `default` is shown by `--help` where it says something. `since` is the API version an engine must speak.
    """

    __slots__ = ("complete", "convert", "default", "help", "hidden", "kind", "name", "repeats", "short", "since")

    def __init__(
        self,
        name: str,
        help: str,
        *,
        short: str = "",
        kind: str = "string",
        default: Any = None,
        convert: Converter | None = None,
        repeats: bool = False,
        hidden: bool = False,
        since: str = "",
        complete: str = "",
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.help = help
        self.default = default
        self.convert = convert or values.CONVERTERS.get(kind, str)
        self.repeats = repeats or kind in ("list", "map", "filter", "stringSlice", "stringToString")
        self.hidden = hidden
        self.since = since
        self.complete = complete

    def spelled(self) -> str:
        """As messages name it: `-a, --all`."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Options:
    """The options of one invocation, read by name and by type."""

    __slots__ = ("_flags", "_given")

    def __init__(self, flags: Sequence[Flag]) -> None:
        self._flags = {flag.name: flag for flag in flags}
        self._given: dict[str, Any] = {}

    def given(self, name: str) -> bool:
        """Whether the option was on the command line, with whatever value."""
        return self._flags[name].name in self._given

    def any_given(self, *names: str) -> bool:
        return any(self.given(name) for name in names)

    def value(self, name: str) -> Any:
        flag = self._flags[name]
        if name in self._given:
            return self._given[name]
        return [] if flag.repeats else flag.default

    def on(self, name: str) -> bool:
        return bool(self.value(name))

    def text(self, name: str) -> str:
        return self.value(name) or ""

    def number(self, name: str) -> int:
        return self.value(name) or 0

    def many(self, name: str) -> list[Any]:
        found: list[Any] = self.value(name)
        return found

    def given_flags(self) -> list[Flag]:
        return [self._flags[name] for name in self._given]

    def filters(self, name: str = "filter") -> dict[str, list[str]]:
        """The pairs of a `filter` option as the API takes them."""
        found: dict[str, list[str]] = {}
        for key, value in self.many(name):
            found.setdefault(key, []).append(value)
        return found

    def set(self, flag: Flag, text: str) -> None:
        """Take one value. Raises `UsageError` where it cannot be one."""
        try:
            value = flag.convert(text)
        except ValueError as error:
            raise UsageError(f'invalid argument "{text}" for "{flag.spelled()}" flag: {error}') from error
        if not flag.repeats:
            self._given[flag.name] = value
        elif isinstance(value, list):
            self._given.setdefault(flag.name, []).extend(value)
        else:
            self._given.setdefault(flag.name, []).append(value)


OLD_NAMES = {"net": "network", "net-alias": "network-alias", "time": "timeout"}
"""Spellings Docker has given up and still takes."""

HELP = Flag("help", "Print usage", kind="bool", hidden=True)


class Parser:
    """Splits an argument vector into options and arguments.

    `interspersed` false ends the options at the first argument, as `run` and `exec` need it: what follows is another
    program's command line.
    """

    def __init__(self, flags: Sequence[Flag], *, interspersed: bool = True) -> None:
        self._flags = list(flags)
        self._long = {flag.name: flag for flag in flags}
        self._short = {flag.short: flag for flag in flags if flag.short}
        self._long.setdefault("help", HELP)
        self._interspersed = interspersed

    def parse(self, words: Sequence[str]) -> tuple[Options, list[str]]:
        """Raises `UsageError`, `HelpWanted`."""
        options = Options(self._flags)
        arguments: list[str] = []
        rest = list(words)
        rest.reverse()
        while rest:
            word = rest.pop()
            if word == "--":
                rest.reverse()
                return options, arguments + rest
            if len(word) < 2 or word[0] != "-":
                arguments.append(word)
                if not self._interspersed:
                    rest.reverse()
                    return options, arguments + rest
            elif word[1] == "-":
                self._take_long(word, rest, options)
            else:
                self._take_short(word[1:], rest, options)
        return options, arguments

    def _take_long(self, word: str, rest: list[str], options: Options) -> None:
        name, equals, value = word[2:].partition("=")
        if not name or name[0] == "-":
            raise UsageError(f"bad flag syntax: {word}")
        flag = self._long.get(name) or self._long.get(OLD_NAMES.get(name, ""))
        if flag is None:
            raise UsageError(f"unknown flag: --{name}{self._meant(name)}")
        if flag is HELP or flag.name == "help":
            raise HelpWanted
        if not equals:
            if flag.kind == "bool":
                value = "true"
            elif rest:
                value = rest.pop()
            else:
                raise UsageError(f"flag needs an argument: --{name}")
        options.set(flag, value)

    def _take_short(self, letters: str, rest: list[str], options: Options) -> None:
        while letters:
            cluster = letters
            letter, letters = letters[0], letters[1:]
            flag = self._short.get(letter)
            if flag is None:
                if letter == "h":
                    raise HelpWanted
                raise UsageError(f"unknown shorthand flag: {letter!r} in -{cluster}")
            if letters.startswith("="):
                options.set(flag, letters[1:])
                return
            if flag.kind == "bool":
                options.set(flag, "true")
                continue
            if letters:
                options.set(flag, letters)
            elif rest:
                options.set(flag, rest.pop())
            else:
                raise UsageError(f"flag needs an argument: {letter!r} in -{cluster}")
            return

    def _meant(self, name: str) -> str:
        from dockwright.cli.suggest import closest

        found = closest(name, [flag.name for flag in self._flags if not flag.hidden])
        return f"\n\nDid you mean --{found}?" if found else ""
