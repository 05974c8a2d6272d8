"""Any text is a Dockerfile, or an error that names a place in it."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dockwright.build.dockerfile import DockerfileError, parse
from dockwright.build.dockerfile.expansion import BadExpansion, expand
from dockwright.build.dockerfile.instructions import KEYWORDS
from dockwright.errors import Invalid
from dockwright.ignoring import read_ignore_file

PIECES = st.sampled_from(
    [
        *KEYWORDS,
        "FROM scratch\n",
        "\n",
        "\\\n",
        " ",
        "\t",
        "#",
        "# escape=`\n",
        "`\n",
        "<<EOF",
        "\nEOF\n",
        "<<-'X'",
        "--mount=",
        "type=cache",
    ]
    + [
        ",target=/a",
        "--from=",
        "--",
        "=",
        '["a"',
        '"]',
        "'",
        '"',
        "$",
        "${",
        "}",
        ":-",
        "a",
        "80/tcp",
        "CMD ",
        "\r\n",
        "\ufeff",
        "\0",
        "é",
    ]
)
TEXT = st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=30).map("".join)


@settings(max_examples=600, deadline=None)
@given(text=TEXT)
@example(text="FROM a\nRUN " + "[" * 5000)
@example(text="FROM a\nRUN " + "\\\n" * 5000)
@example(text="FROM a\n" + "ONBUILD " * 5000)
def test_any_text(text: str) -> None:
    for given_text in (text, "FROM scratch\n" + text):
        try:
            found = parse(given_text)
        except DockerfileError as error:
            spans = [error.span]
        else:
            spans = [one.line.span(0) for stage in found.stages for one in stage.instructions]
        assert all(1 <= span.line <= given_text.count("\n") + 1 and span.column >= 1 for span in spans)


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=100))
def test_any_bytes(raw: bytes) -> None:
    try:
        parse(raw)
    except DockerfileError:
        pass


@settings(max_examples=400, deadline=None)
@given(text=TEXT, value=st.text(max_size=5))
@example(text="${a:-" * 200 + "}" * 200, value="")
def test_any_expansion(text: str, value: str) -> None:
    try:
        expand(text, {"a": value, "EOF": ""})
    except BadExpansion as error:
        found = error.offset
    else:
        found = 0
    assert 0 <= found <= len(text)


@settings(max_examples=300, deadline=None)
@given(
    text=st.lists(st.sampled_from(list("ab*?[]!^-\\/.\n #")), max_size=20).map("".join),
    path=st.text("ab/.", min_size=1),
)
def test_any_ignore_file(text: str, path: str) -> None:
    try:
        read_ignore_file(text).matches(path)
    except Invalid:
        pass
