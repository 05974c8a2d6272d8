"""Directives, comments, continuations and here-documents: the "Format" part of the Dockerfile reference."""

from __future__ import annotations

import pytest

from dockwright.build.dockerfile.errors import DockerfileError
from dockwright.build.dockerfile.lines import Source, scan


def texts(text: str) -> list[str]:
    return [line.text for line in scan(Source(text)).lines]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("FROM a", ["FROM a"]),
        ("FROM a\n", ["FROM a"]),
        ("\ufeffFROM a\n", ["FROM a"]),
        ("  FROM a  \n", ["FROM a"]),
        ("\tFROM a\t\n", ["FROM a"]),
        ("FROM a\r\nRUN b\r\n", ["FROM a", "RUN b"]),
        ("\n\nFROM a\n\n\nRUN b\n\n", ["FROM a", "RUN b"]),
        ("# hello\nFROM a", ["FROM a"]),
        ("  # indented\nFROM a", ["FROM a"]),
        ("FROM a # not a comment", ["FROM a # not a comment"]),
        ("RUN a \\\n b", ["RUN a  b"]),
        ("RUN a \\\n# comment\n b", ["RUN a  b"]),
        ("RUN a \\\n   # comment\n b", ["RUN a  b"]),
        ("RUN a \\\n\n b", ["RUN a  b"]),
        ("RUN a \\\n  \n b", ["RUN a  b"]),
        ("RUN a \\  \n b", ["RUN a  b"]),
        ("RUN a \\\t\n b", ["RUN a  b"]),
        ("RUN a \\x\nRUN b", ["RUN a \\x", "RUN b"]),
        ("RUN a \\\\\nRUN b", ["RUN a \\\\", "RUN b"]),
        ("RUN a\\\nb\\\nc", ["RUN abc"]),
        ("RUN \\\n\\\n\\\na", ["RUN a"]),
        ("RUN a \\", ["RUN a"]),
        ("RUN a \\\n# only a comment", ["RUN a"]),
        ("RUN a \\\r\n b\r\n", ["RUN a  b"]),
        ("RUN a && \\\n    b", ["RUN a &&     b"]),
        ("# escape=`\nRUN a `\n b", ["RUN a  b"]),
        ("# escape=`\nRUN a \\\nRUN b", ["RUN a \\", "RUN b"]),
        ("#escape=`\nRUN a`\nb", ["RUN ab"]),
        ("# comment first\n# escape=`\nRUN a `\nRUN b", ["RUN a `", "RUN b"]),
        ("\n# escape=`\nRUN a `\nRUN b", ["RUN a `", "RUN b"]),
        ("# unknown=directive\n# escape=`\nRUN a `\nRUN b", ["RUN a `", "RUN b"]),
        ("FROM a\n# escape=`\nRUN b `\nRUN c", ["FROM a", "RUN b `", "RUN c"]),
        ("RUN <<EOF\na\nEOF\nRUN b", ["RUN <<EOF", "RUN b"]),
        ("RUN <<EOF\nRUN x \\\n# kept\nEOF\nRUN b", ["RUN <<EOF", "RUN b"]),
        ("COPY <<a <<b /\n1\na\n2\nb\nRUN b", ["COPY <<a <<b /", "RUN b"]),
        ("ENV A=<<EOF\nRUN b", ["ENV A=<<EOF", "RUN b"]),
        ('RUN ["a", "<<EOF"]\nRUN b', ['RUN ["a", "<<EOF"]', "RUN b"]),
        ("CMD <<EOF\nRUN b", ["CMD <<EOF", "RUN b"]),
        ("RUN cat <<<EOF\nRUN b", ["RUN cat <<<EOF", "RUN b"]),
        ("RUN echo '<<EOF'\nRUN b", ["RUN echo '<<EOF'", "RUN b"]),
        ("RUN a <<EOF \\\n && b\nx\nEOF\nRUN c", ["RUN a <<EOF  && b", "RUN c"]),
        ("ONBUILD RUN <<EOF\nx\nEOF\nRUN c", ["ONBUILD RUN <<EOF", "RUN c"]),
        ("run <<EOF\nx\nEOF", ["run <<EOF"]),
        ("RUN --mount=type=tmpfs,target=/x <<EOF\nx\nEOF", ["RUN --mount=type=tmpfs,target=/x <<EOF"]),
    ],
)
def test_logical_lines(text: str, lines: list[str]) -> None:
    assert texts(text) == lines


@pytest.mark.parametrize(
    ("text", "directives"),
    [
        ("FROM a", {}),
        ("# syntax=docker/dockerfile:1\nFROM a", {"syntax": "docker/dockerfile:1"}),
        ("#syntax=x\nFROM a", {"syntax": "x"}),
        ("# SYNTAX = x\nFROM a", {"syntax": "x"}),
        ("#  syntax  =  x y  \nFROM a", {"syntax": "x y"}),
        ("# syntax=x\n# escape=`\n# check=skip=all\nFROM a", {"syntax": "x", "escape": "`", "check": "skip=all"}),
        ("# escape=\\\nFROM a", {"escape": "\\"}),
        ("# check=skip=A,B;error=true\nFROM a", {"check": "skip=A,B;error=true"}),
        ("# hello\n# syntax=x\nFROM a", {}),
        ("\n# syntax=x\nFROM a", {}),
        ("# foo=bar\n# syntax=x\nFROM a", {}),
        ("# syntax\nFROM a", {}),
        ("FROM a\n# syntax=x", {}),
        ("\ufeff# syntax=x\nFROM a", {"syntax": "x"}),
    ],
)
def test_directives(text: str, directives: dict[str, str]) -> None:
    found = scan(Source(text)).directives
    assert {name: value for name, (value, _) in found.items()} == directives


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# escape=x\nFROM a", "1:1: invalid escape character 'x'"),
        ("# syntax=a\n# syntax=b\nFROM a", "2:1: only one syntax parser directive"),
        ("# escape=`\n# ESCAPE=`\nFROM a", "2:1: only one escape parser directive"),
        ("RUN <<EOF\nx\n", "1:5: unterminated heredoc: no line with only EOF"),
        ("RUN <<EOF\n EOF\n", "unterminated heredoc"),
        ("RUN <<EOF\nEOF \n", "unterminated heredoc"),
        ("RUN <<a <<b\n1\na\n2\n", "no line with only b"),
    ],
)
def test_what_cannot_be_cut_into_lines(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as raised:
        scan(Source(text))
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "name", "content", "expand"),
    [
        ("RUN <<EOF\na\nb\nEOF", "EOF", "a\nb\n", True),
        ("RUN <<EOF\nEOF", "EOF", "", True),
        ("RUN <<'EOF'\n$a\nEOF", "EOF", "$a\n", False),
        ('RUN <<"EOF"\n$a\nEOF', "EOF", "$a\n", False),
        ("RUN <<E'O'F\n$a\nEOF", "EOF", "$a\n", False),
        ("RUN <<-EOF\n\t\ta\n\t b\n\tEOF", "EOF", "a\n b\n", True),
        ("RUN <<EOF\n\ta\nEOF", "EOF", "\ta\n", True),
        ("RUN <<EOF\n\n  a  \n\nEOF", "EOF", "\n  a  \n\n", True),
        ("RUN 3<<EOF\nx\nEOF", "EOF", "x\n", True),
        ("RUN <<end_of-it.1\nx\nend_of-it.1", "end_of-it.1", "x\n", True),
        ("RUN <<EOF cat\n# not a comment\nEOF", "EOF", "# not a comment\n", True),
        ("RUN <<EOF\na \\\nb\nEOF", "EOF", "a \\\nb\n", True),
    ],
)
def test_here_documents(text: str, name: str, content: str, expand: bool) -> None:
    (line,) = scan(Source(text)).lines
    (document,) = line.heredocs
    assert (document.name, document.content, document.expand) == (name, content, expand)


def test_a_descriptor_number_before_a_here_document_is_kept() -> None:
    (line,) = scan(Source("RUN a 3<<x 4<<-'y'\n1\nx\n2\ny")).lines
    assert [(document.fd, document.chomp) for document in line.heredocs] == [(3, False), (4, True)]


def test_comments_belong_to_the_instruction_below_them() -> None:
    lines = scan(Source("# one\n# two\nFROM a\n\n# lost\n\n# three\nRUN b")).lines
    assert [line.comments for line in lines] == [("one", "two"), ("three",)]


def test_a_place_in_a_joined_line_is_told_as_it_stands_in_the_file() -> None:
    (line,) = scan(Source("  RUN one \\\n# comment\n\n    two \\\n\tthree")).lines
    places = {word: line.span(line.text.index(word)) for word in ("RUN", "one", "two", "three")}
    assert {word: (span.line, span.column) for word, span in places.items()} == {
        "RUN": (1, 3),
        "one": (1, 7),
        "two": (4, 5),
        "three": (5, 2),
    }
    assert (line.start, line.end, line.empty_continuation) == (1, 5, True)


def test_an_excerpt_shows_the_place_under_tabs_too() -> None:
    source = Source("FROM a\n\tRUM b\n", "Dockerfile.web")
    error = source.error("unknown instruction: RUM", scan(source).lines[1].span(0, 3), "did you mean RUN?")
    assert str(error) == "Dockerfile.web:2:2: unknown instruction: RUM (did you mean RUN?)"
    assert error.excerpt == "  1 | FROM a\n> 2 | \tRUM b\n    | \t^^^"
