"""Any text is a Dockerfile, or an error that names a place in it."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dockwright.build.describing import answer
from dockwright.build.describing.answer import LINT, OUTLINE, TARGETS
from dockwright.build.dockerfile import DockerfileError, parse
from dockwright.build.dockerfile.expansion import BadExpansion, expand
from dockwright.build.dockerfile.instructions import KEYWORDS
from dockwright.build.dockerfile.instructions.expose import Expose
from dockwright.build.dockerfile.scope import Scope
from dockwright.build.planning import created_by, ports, titles
from dockwright.build.planning.plan import Options
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


LINES = st.lists(
    st.sampled_from(
        """ARG A\nARG A=$B\nENV A=$A\nENV A ${A:?x}\nRUN echo $A "$B" '\nRUN --mount=type=secret,id=$A,env=B x\nEXPOSE $A 80-90\nUSER $A
STOPSIGNAL $A\nWORKDIR $A\nCOPY $A <<E /$B\n$A\nE\nFROM $A AS b\nFROM scratch AS c\nFROM --platform=$A c\nCMD $A\nHEALTHCHECK CMD x
ONBUILD RUN $A\nSHELL ["a"]\nRUN <<E\nADD --checksum=$A http://x/$B /\nVOLUME $A\nLABEL $A=$B\nMAINTAINER $A\nRUN --device=$A x""".split(
            "\n"
        )
    ),
    max_size=12,
).map("\n".join)


@settings(max_examples=400, deadline=None)
@given(text=st.one_of(LINES, TEXT), value=st.text(max_size=5))
def test_whatever_can_be_read_can_be_checked_described_titled_and_told(text: str, value: str) -> None:
    whole = f"FROM scratch\n{text}"
    for request in (LINT, OUTLINE, TARGETS):
        try:
            assert json.loads(
                answer(request, whole.encode(errors="replace"), options=Options(arguments={"A": value}))["result.json"]
            )
        except Invalid:
            assert request != LINT, "lint tells it"
    try:
        dockerfile = parse(whole)
        for stage in dockerfile.stages:
            scope = Scope(dockerfile.escape, {"A": value}, {})
            for raw in stage.instructions:
                one = scope.see(raw)
                assert titles.of_instruction(one, scope.variables, dockerfile.escape)
                created_by.of_others(one)
                if isinstance(one, Expose):
                    ports.exposed(one)
    except DockerfileError:
        pass


@settings(max_examples=300, deadline=None)
@given(raw=st.binary(max_size=100))
def test_any_bytes(raw: bytes) -> None:
    try:
        parse(raw)
    except DockerfileError:
        pass


@settings(max_examples=400, deadline=None)
@given(text=TEXT, value=st.text(max_size=5))
@example(text="${a:-" * 5000 + "}" * 5000, value="")
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
