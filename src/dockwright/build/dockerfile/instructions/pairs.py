"""`NAME=VALUE NAME=VALUE ...`, and the old `NAME VALUE` of one name: how ENV and LABEL are written."""

from __future__ import annotations

from dockwright.build.dockerfile.instructions.base import Arguments

Pairs = tuple[tuple[str, str], ...]


def parse(arguments: Arguments) -> tuple[Pairs, bool]:
    """The pairs, quotes and variables still in them, and whether the old form was used. Raises `DockerfileError`."""
    arguments.no_flags()
    found = arguments.words()
    if not found:
        raise arguments.error(f"{arguments.keyword} requires at least one argument")
    if "=" not in found[0].text:
        name, *rest = arguments.rest.text.split(None, 1)
        if not rest:
            raise arguments.error(f"{arguments.keyword} must have two arguments", found[0], "NAME=VALUE")
        return ((name, rest[0]),), True
    pairs = []
    for word in found:
        name, equals, value = word.text.partition("=")
        if not equals:
            why = f"can't find = in {word.text!r}: must be of the form name=value"
            raise arguments.error(f"syntax error: {why}", word, "quote a value that has blanks")
        if not name:
            raise arguments.error(f"{arguments.keyword} names can not be blank", word)
        pairs.append((name, value))
    return tuple(pairs), False
