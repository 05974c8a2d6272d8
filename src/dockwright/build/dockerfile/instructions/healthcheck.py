"""`HEALTHCHECK [OPTIONS] CMD COMMAND` or `HEALTHCHECK NONE`: how to see whether a container is well."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.build.dockerfile import words
from dockwright.build.dockerfile.instructions.base import Arguments, Instruction
from dockwright.build.dockerfile.words import Word
from dockwright.errors import Invalid
from dockwright.units import parse_duration

_SHORTEST_NS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Healthcheck(Instruction):
    """`test` as in the image's configuration (`NONE`, `CMD`, `CMD-SHELL`); times in nanoseconds, 0 is the default."""

    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


def parse(arguments: Arguments) -> Healthcheck:
    """See the module. Raises `DockerfileError`."""
    options = arguments.options(texts="interval timeout start-period start-interval retries")
    kind, _, command = arguments.rest.text.partition(" ")
    if not kind:
        raise arguments.error("HEALTHCHECK requires at least one argument", hint="CMD or NONE")
    if kind.upper() == "NONE":
        if command.strip() or arguments.flags:
            raise arguments.error("HEALTHCHECK NONE takes no arguments", arguments.rest)
        return Healthcheck(line=arguments.line, test=("NONE",))
    if kind.upper() != "CMD":
        raise arguments.error(f"unknown type {kind!r} in HEALTHCHECK", arguments.rest, "CMD or NONE")
    return Healthcheck(
        line=arguments.line,
        test=_test(arguments, command.strip()),
        interval_ns=_duration(arguments, "interval", options.word("interval")),
        timeout_ns=_duration(arguments, "timeout", options.word("timeout")),
        start_period_ns=_duration(arguments, "start-period", options.word("start-period")),
        start_interval_ns=_duration(arguments, "start-interval", options.word("start-interval")),
        retries=_retries(arguments, options.word("retries")),
    )


def _test(arguments: Arguments, command: str) -> tuple[str, ...]:
    if not command:
        raise arguments.error("missing command after HEALTHCHECK CMD", arguments.rest)
    try:
        array = words.json_array(command)
    except words.NotStrings as error:
        raise arguments.error(str(error), arguments.rest) from None
    return ("CMD-SHELL", command) if array is None else ("CMD", *array)


def _duration(arguments: Arguments, name: str, word: Word | None) -> int:
    if word is None:
        return 0
    try:
        value = parse_duration(word.text)
    except Invalid:
        raise arguments.error(f"invalid duration {word.text!r} for --{name}", word, "30s, 1m30s, 500ms") from None
    if value < 0 or 0 < value < _SHORTEST_NS:
        raise arguments.error(f"--{name} cannot be less than 1ms", word)
    return value


def _retries(arguments: Arguments, word: Word | None) -> int:
    if word is None:
        return 0
    if not (word.text.isascii() and word.text.isdigit()) or len(word.text) > 9:
        raise arguments.error(f"--retries must be a whole number of 0 or more, not {word.text!r}", word)
    return int(word.text)
