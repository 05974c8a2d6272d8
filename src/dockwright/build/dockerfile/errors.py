"""What is wrong with a Dockerfile, and where."""

from __future__ import annotations

from dataclasses import dataclass

from dockwright.errors import Invalid


@dataclass(frozen=True)
class Span:
    """A place in a file: lines from 1, columns from 1; `length` characters from `column` on, all on line `line`."""

    line: int
    column: int
    length: int = 1


class DockerfileError(Invalid):
    """A mistake in a Dockerfile. `str()` is one line for the API; `excerpt` shows the place with a caret."""

    def __init__(self, message: str, *, file: str, span: Span, source: str, hint: str = "") -> None:
        super().__init__(f"{file}:{span.line}:{span.column}: {message}{f' ({hint})' if hint else ''}")
        self.message, self.hint, self.file, self.span = message, hint, file, span
        self.excerpt = _excerpt(source, span)


def _excerpt(source: str, span: Span) -> str:
    """The line before, the line itself, and a caret under the place."""
    lines = source.split("\n")
    shown = range(max(1, span.line - 1), min(span.line, len(lines)) + 1)
    width = len(str(span.line))
    told = [f"{'>' if number == span.line else ' '} {number:>{width}} | {lines[number - 1]}" for number in shown]
    before = lines[span.line - 1][: span.column - 1] if span.line <= len(lines) else ""
    margin = "".join("\t" if character == "\t" else " " for character in before)
    return "\n".join([*told, f"  {'':{width}} | {margin}{'^' * max(1, span.length)}"])
