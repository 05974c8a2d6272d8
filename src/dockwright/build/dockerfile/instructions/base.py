"""What the instructions have in common: their arguments as they were written, flags, shell and exec forms, expansion."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from dockwright.build.dockerfile import words
from dockwright.build.dockerfile.errors import DockerfileError
from dockwright.build.dockerfile.heredoc import Heredoc
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.words import Word

Expander = Callable[[str], str]


def expands(**options: Any) -> Any:
    """A field whose text, texts or pairs of texts have their variables replaced by `Instruction.expanded`."""
    return field(metadata={"expands": True}, **options)


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction. `line` is where it stands; `keyword` is upper-case."""

    line: Line = field(repr=False, compare=False)

    @property
    def keyword(self) -> str:
        """The instruction's name, as in the reference."""
        return type(self).__name__.upper()

    def expanded(self, expander: Expander) -> Self:
        """With the variables replaced wherever this instruction has them replaced."""
        chosen = [each.name for each in fields(self) if each.metadata.get("expands")]
        return replace(self, **{name: _expanded(getattr(self, name), expander) for name in chosen})


def _expanded(value: Any, expander: Expander) -> Any:
    if isinstance(value, str):
        return expander(value)
    if isinstance(value, tuple):
        return tuple(_expanded(item, expander) for item in value)
    return value


@dataclass(frozen=True)
class Command:
    """What RUN, CMD, ENTRYPOINT and a health check run: exec form (`shell` false), or one text for the shell."""

    arguments: tuple[str, ...]
    shell: bool


@dataclass(frozen=True)
class Arguments:
    """What follows an instruction's name: flags, then the rest."""

    keyword: str
    line: Line
    escape: str
    flags: list[Word]
    rest: Word

    def error(self, message: str, word: Word | None = None, hint: str = "") -> DockerfileError:
        """An error at `word`, else at the instruction."""
        if word is None:
            return self.line.error(message, 0, len(self.keyword), hint)
        return self.line.error(message, word.offset, len(word.text), hint)

    def options(self, *, texts: str = "", lists: str = "", switches: str = "") -> Options:
        """The flags by name; the arguments name, parted by blanks, those the instruction has. Raises `DockerfileError`."""
        return Options.parse(self, texts.split(), lists.split(), switches.split())

    def no_flags(self) -> None:
        """Raise `DockerfileError` when there is a flag."""
        self.options()

    def words(self) -> list[Word]:
        """The rest, cut at unquoted blanks."""
        return words.split(self.rest.text, self.escape, self.rest.offset)

    def plain_words(self) -> list[Word]:
        """The rest, cut at blanks."""
        found, position = list[Word](), 0
        for text in self.rest.text.split():
            position = self.rest.text.index(text, position)
            found.append(Word(text, self.rest.offset + position))
            position += len(text)
        return found

    def one(self) -> str:
        """The rest as it stands. Raises `DockerfileError` when there is none."""
        self.no_flags()
        if not self.rest.text:
            raise self.error(f"{self.keyword} requires exactly one argument")
        return self.rest.text

    def json(self) -> list[str] | None:
        """The rest as a JSON array of strings; None when it is none. Raises `DockerfileError` for an array of others."""
        try:
            return words.json_array(self.rest.text)
        except words.NotStrings as error:
            raise self.error(str(error), self.rest) from None

    def json_or_words(self) -> list[Word]:
        """The strings of a JSON array, else the words."""
        array = self.json()
        return self.words() if array is None else [Word(text, self.rest.offset) for text in array]

    def command(self) -> Command:
        """Exec or shell form. An empty rest gives an empty command."""
        array = self.json()
        if array is not None:
            return Command(tuple(array), shell=False)
        return Command((self.rest.text,) if self.rest.text else (), shell=True)

    def heredoc(self, number: int) -> Heredoc:
        """The here-document that the line opened as its `number`th."""
        return self.line.heredocs[number]


class Options:
    """An instruction's flags, by name."""

    def __init__(self, values: dict[str, list[Word]]) -> None:
        self._values = values

    @classmethod
    def parse(cls, arguments: Arguments, texts: list[str], lists: list[str], switches: list[str]) -> Self:
        """Raises `DockerfileError` for a flag that is unknown, given twice, or has no value where it needs one."""
        values: dict[str, list[Word]] = {}
        for flag in arguments.flags:
            name, equals, value = flag.text[2:].partition("=")
            if name not in (*texts, *lists, *switches):
                near = difflib.get_close_matches(name, [*texts, *lists, *switches], 1)
                raise arguments.error(f"unknown flag: --{name}", flag, f"did you mean --{near[0]}?" if near else "")
            if name in values and name not in lists:
                raise arguments.error(f"duplicate flag specified: --{name}", flag)
            if not equals and name not in switches:
                raise arguments.error(f"missing a value on flag: --{name}", flag)
            if name in switches and equals and not value:
                raise arguments.error(f"missing a value on flag: --{name}", flag)
            if name in switches and value.lower() not in ("", "true", "false"):
                raise arguments.error(f"expecting boolean value for flag --{name}, not: {value}", flag)
            values.setdefault(name, []).append(Word(value, flag.offset + len(flag.text) - len(value)))
        return cls(values)

    def word(self, name: str) -> Word | None:
        """The value with its place."""
        return self._values[name][0] if name in self._values else None

    def text(self, name: str) -> str:
        """The value; empty when it was not given."""
        return self._values[name][0].text if name in self._values else ""

    def many(self, name: str) -> tuple[Word, ...]:
        """The values of a flag that may be repeated."""
        return tuple(self._values.get(name, ()))

    def on(self, name: str) -> bool | None:
        """A switch: None when it was not given."""
        if name not in self._values:
            return None
        return self._values[name][0].text.lower() != "false"
