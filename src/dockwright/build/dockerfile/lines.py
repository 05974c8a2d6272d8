"""From the text of a Dockerfile to logical lines: parser directives, comments, continuations and heredocs.

Dockerfile reference, "Format", "Parser directives", "Here-Documents".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dockwright.build.dockerfile.errors import DockerfileError, Span
from dockwright.build.dockerfile.heredoc import Heredoc, openings

_DIRECTIVE = re.compile(r"#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*")
_KNOWN = ("syntax", "escape", "check")
_BOM = "\ufeff"


@dataclass(frozen=True)
class Source:
    """A Dockerfile as it was given; `name` is what errors call it."""

    text: str
    name: str = "Dockerfile"

    def error(self, message: str, span: Span, hint: str = "") -> DockerfileError:
        """An error at `span`, to be raised."""
        return DockerfileError(message, file=self.name, span=span, source=self.text, hint=hint)


@dataclass(frozen=True)
class Line:
    """One instruction's text with its continuations joined, and where each part of it stood."""

    source: Source
    text: str
    start: int
    end: int
    # (offset in `text`, line, column): from this offset on the text stood there.
    parts: tuple[tuple[int, int, int], ...]
    comments: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()
    empty_continuation: bool = False

    def span(self, offset: int, length: int = 1) -> Span:
        """Where the text from `offset` on stood."""
        begin, line, column = next(part for part in reversed(self.parts) if part[0] <= max(0, offset))
        return Span(line, column + max(0, offset) - begin, max(1, length))

    def error(self, message: str, offset: int = 0, length: int = 0, hint: str = "") -> DockerfileError:
        """An error at `offset`, to be raised; without a length, the word that stands there."""
        if not length:
            rest = self.text[offset:]
            length = len(rest) - len(rest.lstrip()) or len(rest.split(None, 1)[0]) if rest.strip() else 1
        return self.source.error(message, self.span(offset, length), hint)


@dataclass
class Scan:
    """What `scan` finds. `directives` by lower-case name with the line they stand on."""

    source: Source
    lines: list[Line] = field(default_factory=list)
    directives: dict[str, tuple[str, int]] = field(default_factory=dict)

    @property
    def escape(self) -> str:
        """The escape character: a backslash unless the file says a backtick."""
        return self.directives["escape"][0] if "escape" in self.directives else "\\"


def scan(source: Source) -> Scan:
    """Split a Dockerfile into logical lines. Raises `DockerfileError`."""
    found = Scan(source)
    physical = source.text.removeprefix(_BOM).split("\n")
    if physical[-1] == "":
        physical.pop()
    reader = _Reader(source, [line.removesuffix("\r") for line in physical])
    _read_directives(found, reader)
    continued = re.compile(rf"(?:(?<=[^{re.escape(found.escape)}])|^){re.escape(found.escape)}[ \t]*$")
    comments: list[str] = []
    while not reader.ended:
        text = reader.peek()
        stripped = text.strip()
        if stripped.startswith("#"):
            comments.append(stripped[1:].strip())
            reader.take()
        elif not stripped:
            comments.clear()
            reader.take()
        else:
            line = _logical(reader, continued, found.escape, tuple(comments))
            if line.text:  # not only continuations
                found.lines.append(line)
            comments.clear()
    return found


class _Reader:
    """Physical lines with their numbers."""

    def __init__(self, source: Source, lines: list[str]) -> None:
        self.source, self.number = source, 0
        self._lines = lines

    @property
    def ended(self) -> bool:
        return self.number >= len(self._lines)

    def peek(self) -> str:
        return self._lines[self.number]

    def take(self) -> str:
        self.number += 1
        return self._lines[self.number - 1]


def _read_directives(found: Scan, reader: _Reader) -> None:
    while not reader.ended and (match := _DIRECTIVE.fullmatch(reader.peek().strip())):
        name, value = match[1].lower(), match[2]
        if name not in _KNOWN:
            return
        line = reader.number + 1
        whole = Span(line, 1, len(reader.peek()))
        if name in found.directives:
            raise found.source.error(f"only one {name} parser directive can be used", whole)
        if name == "escape" and value not in ("\\", "`"):
            raise found.source.error(f"invalid escape character {value!r}: it is ` or \\", whole)
        found.directives[name] = (value, line)
        reader.take()


def _logical(reader: _Reader, continued: re.Pattern[str], escape: str, comments: tuple[str, ...]) -> Line:
    text, parts, start = "", list[tuple[int, int, int]](), reader.number + 1
    empty, more = False, True
    while more and not reader.ended:
        piece = reader.take()
        first = reader.number == start
        if not first and piece.lstrip().startswith("#"):
            continue
        if not first and not piece.strip():
            empty = True
            continue
        column = len(piece) - len(piece.lstrip()) + 1 if first else 1
        kept = continued.sub("", piece)
        more = kept != piece
        parts.append((len(text), reader.number, column))
        text += kept[column - 1 :]
    line = Line(reader.source, text.rstrip(), start, reader.number, tuple(parts), comments, (), empty)
    return _with_heredocs(line, reader, escape)


def _with_heredocs(line: Line, reader: _Reader, escape: str) -> Line:
    wanted = openings(line.text, escape)
    if not wanted:
        return line
    filled = tuple(opening.filled(_body(line, reader, opening)) for opening in wanted)
    return Line(
        line.source, line.text, line.start, reader.number, line.parts, line.comments, filled, line.empty_continuation
    )


def _body(line: Line, reader: _Reader, opening: Heredoc) -> Iterator[str]:
    while not reader.ended:
        text = reader.take()
        if (text.lstrip("\t") if opening.chomp else text) == opening.name:
            return
        yield text
    raise line.error(
        f"unterminated heredoc: no line with only {opening.name}",
        line.text.find("<<"),
        hint=f"end it with {opening.name}",
    )
