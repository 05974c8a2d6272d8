"""Cutting an instruction's text into flags, words and JSON arrays, with the offsets that errors point to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple


class Word(NamedTuple):
    """A word as it was written, quotes and escapes still in it, and its offset in the instruction's text."""

    text: str
    offset: int


class NotStrings(ValueError):
    """A JSON array that holds something else than strings."""


def split(text: str, escape: str, offset: int = 0) -> list[Word]:
    """The words of `text`: blanks part them unless quoted or escaped. `offset` is where `text` itself stands."""
    return [Word(text[begin:end], offset + begin) for begin, end in _bounds(text, escape)]


def split_raw(text: str, escape: str) -> list[str]:
    """The words of `text` without their offsets."""
    return [text[begin:end] for begin, end in _bounds(text, escape)]


def _bounds(text: str, escape: str) -> Iterator[tuple[int, int]]:
    begin, quote, position = -1, "", 0
    while position < len(text):
        character = text[position]
        if begin < 0 and not character.isspace():
            begin = position
        if quote:
            if character == quote:
                quote = ""
            elif character == escape and quote == '"':
                position += 1
        elif character in "'\"":
            quote = character
        elif character == escape:
            position += 1
        elif character.isspace() and begin >= 0:
            yield begin, position
            begin = -1
        position += 1
    if begin >= 0:
        yield begin, len(text)


def flags(text: str, escape: str, offset: int = 0) -> tuple[list[Word], Word]:
    """The `--name=value` words at the beginning of `text`, and what follows them."""
    found: list[Word] = []
    for begin, end in _bounds(text, escape):
        word = text[begin:end]
        if word == "--":
            return found, _rest(text, end, offset)
        if not word.startswith("--"):
            return found, _rest(text, begin, offset)
        found.append(Word(word, offset + begin))
    return found, Word("", offset + len(text))


def after_flags(text: str, escape: str) -> str:
    """What follows the flags at the beginning of `text`."""
    return flags(text, escape)[1].text


def _rest(text: str, position: int, offset: int) -> Word:
    rest = text[position:]
    return Word(rest.strip(), offset + position + len(rest) - len(rest.lstrip()))


def json_array(text: str) -> list[str] | None:
    """The strings of a JSON array; None when `text` is none. Raises `NotStrings`."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list):
        return None
    if not all(isinstance(item, str) for item in value):
        raise NotStrings("when using JSON array syntax, arrays must be comprised of strings only")
    return value


def unquote(text: str, escape: str) -> str:
    """`text` without its quotes and escapes; nothing in it is a variable."""
    result, quote, position = "", "", 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character == escape and quote != "'" and position < len(text):
            following = text[position]
            position += 1
            result += following if not quote or following in f'"${escape}' else character + following
        else:
            result += character
    return result
