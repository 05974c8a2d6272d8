"""Variables: `$name`, `${name:-word}` and the other forms, with a shell's quotes and the file's escape character.

Dockerfile reference, "Environment replacement". Which instructions expand is their own business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_SPECIAL = "@*#?-$!0"


class BadExpansion(ValueError):
    """What is wrong with a variable, or that it is required and not set; `offset` is where, in the text given."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass
class Expanded:
    """The result, and which variables it asked for: `used` were set, `unset` were not (and had no default)."""

    text: str = ""
    words: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    unset: set[str] = field(default_factory=set)


def expand(text: str, variables: Mapping[str, str], escape: str = "\\", *, keep_quotes: bool = False) -> Expanded:
    """`text` with its variables replaced and its quotes and escapes removed (or left with `keep_quotes`).

    `words` holds the same cut at unquoted blanks, those that came out of a variable included. Raises `BadExpansion`.
    """
    return _Lexer(text, variables, escape, keep_quotes).run()


def expand_shown(text: str, variables: Mapping[str, str], escape: str, *, shell: bool) -> str:
    """`text` for people to read. What a `shell` reads keeps its quotes, and the variables that it may know itself.

    Raises `BadExpansion`.
    """
    return _Lexer(text, variables, escape, keep_quotes=shell, keep_unset=shell).run().text


def expand_document(text: str, variables: Mapping[str, str], escape: str = "\\") -> str:
    """`text`, a here-document, with its variables replaced: quotes mean nothing in it, an escape goes and keeps what it is
    before.

    Raises `BadExpansion`.
    """
    return _Lexer(text, variables, escape, keep_quotes=False).document()


class _Words:
    """Words that grow a character at a time."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self._current, self._open = "", False

    def add(self, text: str) -> None:
        for character in text:
            if character.isspace():
                self.end()
            else:
                self._current, self._open = self._current + character, True

    def add_raw(self, text: str) -> None:
        self._current, self._open = self._current + text, True

    def end(self) -> None:
        if self._open:
            self.done.append(self._current)
        self._current, self._open = "", False


class _Lexer:
    def __init__(
        self, text: str, variables: Mapping[str, str], escape: str, keep_quotes: bool, keep_unset: bool = False
    ) -> None:
        self._text, self._position = text, 0
        self._variables, self._escape = variables, escape
        self._keep_quotes, self._keep_unset = keep_quotes, keep_unset
        self._found = Expanded()

    def run(self) -> Expanded:
        words = _Words()
        self._found.text = self._until("", words)
        words.end()
        self._found.words = words.done
        return self._found

    def document(self) -> str:
        result = ""
        while character := self._peek():
            if character == "$":
                result += self._dollar()
            elif character == self._escape:
                self._next()
                result += self._next()
            else:
                result += self._next()
        return result

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _next(self) -> str:
        character = self._peek()
        self._position += 1
        return character

    def _until(self, stop: str, words: _Words, *, keep_escapes: bool = False) -> str:
        """Up to `stop` (eaten), or to the end when there is none."""
        result = ""
        while (character := self._peek()) and character != stop:
            if character == "'":
                piece = self._single_quoted()
                words.add_raw(piece)
            elif character == '"':
                piece = self._double_quoted()
                words.add_raw(piece)
            elif character == "$":
                piece = self._dollar()
                words.add(piece)
            elif character == self._escape:
                piece = self._escaped(keep_escapes or self._keep_quotes)
                words.add_raw(piece)
            else:
                piece = self._next()
                words.add(piece)
            result += piece
        if stop and not self._next():
            raise BadExpansion("syntax error: missing '}'", len(self._text))
        return result

    def _escaped(self, keep: bool) -> str:
        escape = self._next()
        following = self._next()
        if not following:
            return escape if keep else ""
        return escape + following if keep else following

    def _single_quoted(self) -> str:
        begin = self._position
        end = self._text.find("'", begin + 1)
        if end < 0:
            raise BadExpansion("unexpected end of statement while looking for matching single-quote", begin)
        self._position = end + 1
        return self._text[begin : end + 1] if self._keep_quotes else self._text[begin + 1 : end]

    def _double_quoted(self) -> str:
        begin = self._position
        self._next()
        result = '"' if self._keep_quotes else ""
        while character := self._peek():
            if character == '"':
                self._next()
                return result + ('"' if self._keep_quotes else "")
            if character == "$":
                result += self._dollar()
            elif character == self._escape:
                self._next()
                following = self._next()
                plain = following and following in f'"${self._escape}' and not self._keep_quotes
                result += following if plain else character + following
            else:
                result += self._next()
        raise BadExpansion("unexpected end of statement while looking for matching double-quote", begin)

    def _dollar(self) -> str:
        begin = self._position
        self._next()
        braced = self._peek() == "{"
        if braced:
            self._next()
            name = self._name_ahead()
            value = self._braced(begin)
        else:
            name = self._name()
            value = (self._value(name) or "") if name else "$"
        return self._text[begin : self._position] if self._keep_unset and name not in self._variables else value

    def _braced(self, begin: int) -> str:
        if not self._peek():
            raise BadExpansion("syntax error: missing '}'", begin)
        if self._peek() in "{}:":
            raise BadExpansion("syntax error: bad substitution", begin)
        name = self._name()
        modifier = self._next()
        if modifier == "}":
            return self._value(name) or ""
        if modifier == "/":
            return self._replaced(name)
        null_is_unset = modifier == ":"
        if null_is_unset:
            modifier = self._next()
        if not modifier:
            raise BadExpansion("syntax error: missing '}'", begin)
        if modifier not in "+-?#%" or (null_is_unset and modifier in "#%"):
            told = ":" * null_is_unset + modifier
            raise BadExpansion(f"unsupported modifier ({told}) in substitution", begin)
        word = self._until("}", _Words(), keep_escapes=modifier in "#%")
        if modifier in "#%":
            return _trimmed(self._value(name) or "", modifier, word)
        return self._alternative(name, modifier, null_is_unset, word, begin)

    def _alternative(self, name: str, modifier: str, null_is_unset: bool, word: str, begin: int) -> str:
        value = self._variables.get(name)
        here = value is not None and not (null_is_unset and value == "")
        if here:
            self._found.used.add(name)
        if modifier == "-":
            return value if here and value is not None else word
        if modifier == "+":
            return word if here else ""
        if not here:
            why = "not allowed to be empty" if value is not None else "not allowed to be unset"
            raise BadExpansion(f"{name}: {word or why}", begin)
        return value or ""

    def _replaced(self, name: str) -> str:
        everywhere = self._peek() == "/"
        if everywhere:
            self._next()
        pattern = self._until("/", _Words(), keep_escapes=True)
        replacement = self._until("}", _Words(), keep_escapes=True)
        literal = re.sub(r"\\(.)", r"\1", replacement)
        return re.sub(
            _regex(pattern, greedy=True), lambda _: literal, self._value(name) or "", count=0 if everywhere else 1
        )

    def _value(self, name: str) -> str | None:
        value = self._variables.get(name)
        (self._found.unset if value is None else self._found.used).add(name)
        return value

    def _name_ahead(self) -> str:
        position = self._position
        name = self._name()
        self._position = position
        return name

    def _name(self) -> str:
        first = self._peek()
        if first and first.isascii() and first.isdigit():
            match = re.compile(r"[0-9]+").match(self._text, self._position)
        elif first and first in _SPECIAL:
            match = re.compile(".").match(self._text, self._position)
        else:
            match = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").match(self._text, self._position)
        if match is None:
            return ""
        self._position = match.end()
        return match[0]


def _trimmed(value: str, modifier: str, pattern: str) -> str:
    """`#`/`##` from the front, `%`/`%%` from the end: the shortest, or doubled the longest, match of the pattern."""
    greedy = pattern.startswith(modifier)
    compiled = re.compile(_regex(pattern[greedy:], greedy=True), re.DOTALL)
    lengths = range(len(value), -1, -1) if greedy else range(len(value) + 1)
    for length in lengths:
        piece = value[:length] if modifier == "#" else value[len(value) - length :]
        if compiled.fullmatch(piece):
            return value[length:] if modifier == "#" else value[: len(value) - length]
    return value


def _regex(pattern: str, *, greedy: bool) -> str:
    """A shell's pattern with `*`, `?` and escapes as a regular expression."""
    result, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            result += ".*" if greedy else ".*?"
        elif character == "?":
            result += "."
        elif character == "\\" and position < len(pattern):
            result += re.escape(pattern[position])
            position += 1
        else:
            result += re.escape(character)
    return result
