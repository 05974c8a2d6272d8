"""The text of a template as tokens."""

from __future__ import annotations

from dockwright.cli.template.errors import ParseError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_SPACE = " \t\r\n"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"', "'": "'"}
_PUNCTUATION = frozenset("|(),=")


class Token:
    """`kind` is text, open, close, string, char, number, word, field, variable, dot, space, or the punctuation itself."""

    __slots__ = ("at", "kind", "raw", "value")

    def __init__(self, kind: str, value: str, at: int, raw: str = "") -> None:
        self.kind = kind
        self.value = value
        self.at = at
        self.raw = raw or value

    def __repr__(self) -> str:
        return f"{self.kind}:{self.value!r}"


class Lexer:
    """`name` is the template's, for messages; `at` of each token is its offset in `text`."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text

    def error(self, at: int, reason: str) -> ParseError:
        return ParseError(self._name, self._text.count("\n", 0, at) + 1, reason)

    def tokens(self) -> Iterator[Token]:
        """Raises `ParseError`."""
        text, at, trim = self._text, 0, False
        while at < len(text):
            start = text.find("{{", at)
            end = len(text) if start < 0 else start
            plain = text[at:end].lstrip(_SPACE) if trim else text[at:end]
            trimmed_left = (
                start >= 0 and text[start + 2 : start + 3] == "-" and text[start + 3 : start + 4] in tuple(_SPACE)
            )
            if trimmed_left:
                plain = plain.rstrip(_SPACE)
            if plain:
                yield Token("text", plain, at)
            if start < 0:
                return
            at = start + (3 if trimmed_left else 2)
            if text.startswith("/*", at + (1 if trimmed_left else 0)):
                at, trim = self._comment(at)
                continue
            yield Token("open", "{{", start)
            at, trim = yield from self._action(at)

    def _comment(self, at: int) -> tuple[int, bool]:
        end = self._text.find("*/", at)
        if end < 0:
            raise self.error(at, "unclosed comment")
        if self._text.startswith("}}", end + 2):
            return end + 4, False
        if self._text.startswith(" -}}", end + 2):
            return end + 6, True
        raise self.error(at, "comment ends before closing delimiter")

    def _action(self, at: int) -> Generator[Token, None, tuple[int, bool]]:
        text, depth = self._text, 0
        while True:
            if text.startswith("}}", at):
                break
            if at >= len(text):
                raise self.error(at, "unclosed action")
            letter = text[at]
            if letter in _SPACE:
                end = at
                while end < len(text) and text[end] in _SPACE:
                    end += 1
                if text.startswith("-}}", end):
                    if depth:
                        raise self.error(at, "unclosed left paren")
                    yield Token("close", "}}", end)
                    return end + 3, True
                yield Token("space", " ", at)
                at = end
                continue
            token, at = self._token(at)
            depth += {"(": 1, ")": -1}.get(token.kind, 0)
            if depth < 0:
                raise self.error(token.at, "unexpected right paren")
            yield token
        if depth:
            raise self.error(at, "unclosed left paren")
        yield Token("close", "}}", at)
        return at + 2, False

    def _token(self, at: int) -> tuple[Token, int]:
        text, letter = self._text, self._text[at]
        if text.startswith(":=", at):
            return Token(":=", ":=", at), at + 2
        if letter in _PUNCTUATION:
            return Token(letter, letter, at), at + 1
        if letter == '"':
            return self._string(at)
        if letter == "`":
            end = text.find("`", at + 1)
            if end < 0:
                raise self.error(at, "unterminated raw quoted string")
            return Token("string", text[at + 1 : end], at, text[at : end + 1]), end + 1
        if letter == "'":
            token, end = self._string(at, "'")
            if len(token.value) != 1:
                raise self.error(at, f"malformed character constant: {token.raw}")
            return Token("char", token.value, at, token.raw), end
        if letter == ".":
            return self._field(at)
        if letter == "$":
            name = self._word(at + 1)
            return Token("variable", "$" + name, at), at + 1 + len(name)
        if letter.isdigit() or (letter in "+-" and text[at + 1 : at + 2].isdigit()):
            return self._number(at)
        name = self._word(at)
        if not name:
            raise self.error(at, f"unexpected {letter!r} in command" if letter != "}" else 'unexpected "}" in operand')
        return Token("word", name, at), at + len(name)

    def _field(self, at: int) -> tuple[Token, int]:
        following = self._text[at + 1 : at + 2]
        if following.isdigit():
            return self._number(at)
        name = self._word(at + 1)
        if name:
            return Token("field", name, at, "." + name), at + 1 + len(name)
        return Token("dot", ".", at), at + 1

    def _word(self, at: int) -> str:
        end = at
        while end < len(self._text) and (self._text[end].isalnum() or self._text[end] == "_"):
            end += 1
        return self._text[at:end]

    def _number(self, at: int) -> tuple[Token, int]:
        end = at + 1
        while end < len(self._text) and (self._text[end].isalnum() or self._text[end] in "._"):
            end += 1
        return Token("number", self._text[at:end], at), end

    def _string(self, at: int, quote: str = '"') -> tuple[Token, int]:
        value: list[str] = []
        end = at + 1
        while True:
            letter = self._text[end : end + 1]
            if not letter or letter == "\n":
                raise self.error(
                    at, "unterminated quoted string" if quote == '"' else "unterminated character constant"
                )
            if letter == quote:
                return Token("string", "".join(value), at, self._text[at : end + 1]), end + 1
            if letter != "\\":
                value.append(letter)
                end += 1
                continue
            piece, end = self._escape(at, end + 1)
            value.append(piece)

    def _escape(self, start: int, at: int) -> tuple[str, int]:
        letter = self._text[at : at + 1]
        if letter in _ESCAPES and letter:
            return _ESCAPES[letter], at + 1
        width = {"x": 2, "u": 4, "U": 8}.get(letter, 0)
        digits = self._text[at + 1 : at + 1 + width]
        try:
            return chr(int(digits, 16)), at + 1 + width
        except (ValueError, OverflowError) as error:
            raise self.error(start, "invalid syntax in quoted string") from error
