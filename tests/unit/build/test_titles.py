"""What people see of steps, and what an image's history says of them: BuildKit's words."""

from __future__ import annotations

import pytest

from dockwright.build.dockerfile import parse
from dockwright.build.dockerfile.instructions.add import Add
from dockwright.build.dockerfile.instructions.base import Instruction
from dockwright.build.dockerfile.instructions.copy import Copy
from dockwright.build.planning import created_by, titles
from dockwright.build.planning.titles import Titles
from dockwright.oci import platform as platforms

VARIABLES = {"A": "one", "B": "two words", "EMPTY": ""}


def instruction(text: str, escape: str = "\\") -> Instruction:
    (one,) = parse(f"# escape={escape}\nFROM a\n{text}").stages[0].instructions
    return one


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("RUN make", "RUN make"),
        ("run make", "RUN make"),
        ("RUN echo $A ${B}", "RUN echo one two words"),
        ("RUN echo $EMPTY.", "RUN echo ."),
        ("RUN echo $HOME ${X:-$A} ${A:-x} $$ $(date)", "RUN echo $HOME ${X:-$A} one $$ $(date)"),
        ("RUN echo \"$A\" '$A'", "RUN echo \"one\" '$A'"),
        ("RUN echo 'open", "RUN echo 'open"),
        ("RUN find -exec ls {} \\;", "RUN find -exec ls {} \\;"),
        ('RUN ["echo", "$A"]', 'RUN ["echo", "one"]'),
        ("RUN --network=none make \\\n  all", "RUN --network=none make   all"),
        ("RUN <<EOF\necho 1\nEOF", "RUN <<EOF (echo 1)"),
        ("RUN <<EOF\n\necho 1\necho 2\nEOF", "RUN <<EOF (echo 1...)"),
        ("RUN cat <<EOF > /f\n1\nEOF", "RUN cat <<EOF > /f"),
        ("COPY --chown=$A x $A/", "COPY --chown=one x one/"),
        ("COPY x $UNKNOWN/y", "COPY x /y"),
        ('COPY "x y" /z', "COPY x y /z"),
        ("COPY <<EOF /z\n1\nEOF", "COPY <<EOF /z"),
        ("WORKDIR $A", "WORKDIR one"),
        ("ADD $B /", "ADD two words /"),
    ],
)
def test_instructions_are_shown_with_their_variables(text: str, title: str) -> None:
    assert titles.of_instruction(instruction(text), VARIABLES, "\\") == title


def test_what_a_base_image_asked_for_is_marked() -> None:
    assert titles.of_instruction(instruction("RUN a"), {}, "\\", trigger=True) == "ONBUILD RUN a"


def test_steps_are_counted_in_columns() -> None:
    few, many = Titles(2), Titles(10, "build")
    assert [few.next("A"), few.next("B")] == ["[1/2] A", "[2/2] B"]
    assert [many.next("A") for _ in range(10)][::9] == ["[build  1/10] A", "[build 10/10] A"]


@pytest.mark.parametrize(
    ("variables", "shown"),
    [
        ({}, "linux/amd64"),
        ({"TARGETPLATFORM": "linux/amd64"}, "linux/amd64"),
        ({"TARGETPLATFORM": "linux/arm/v7"}, "linux/amd64->arm/v7"),
        ({"TARGETARCH": "arm64"}, "linux/amd64->arm64"),
        ({"TARGETOS": "windows"}, "linux/amd64->windows/amd64"),
        ({"TARGETPLATFORM": "no/such/thing/at/all"}, "linux/amd64"),
    ],
)
def test_the_platform_is_shown_and_what_is_made_for_another(variables: dict[str, str], shown: str) -> None:
    counting = Titles(1, "build", platforms.parse("linux/amd64"))
    assert counting.next("RUN a", variables) == f"[{shown} build 1/1] RUN a"


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("ENV A=1 B='2 3'", "ENV A=1 B='2 3'"),
        ("LABEL a=b", "LABEL a=b"),
        ("ARG A B=1", "ARG A B=1"),
        ("USER 1:2", "USER 1:2"),
        ('VOLUME ["/a", "/b"]', "VOLUME [/a /b]"),
        ("STOPSIGNAL 9", "STOPSIGNAL 9"),
        ('SHELL ["/bin/bash", "-c"]', "SHELL [/bin/bash -c]"),
        ("MAINTAINER me", "MAINTAINER me"),
        ("ONBUILD RUN a", None),
        (
            "HEALTHCHECK --interval=90s --timeout=1500ms --retries=2 CMD a b",
            "HEALTHCHECK {Test:[CMD-SHELL a b] Interval:1m30s Timeout:1.5s StartPeriod:0s StartInterval:0s Retries:2}",
        ),
        (
            "HEALTHCHECK --start-period=1h --start-interval=20ms CMD a",
            "HEALTHCHECK {Test:[CMD-SHELL a] Interval:0s Timeout:0s StartPeriod:1h0m0s StartInterval:20ms Retries:0}",
        ),
    ],
)
def test_the_history_says_what_was_set(text: str, recorded: str | None) -> None:
    assert created_by.of_others(instruction(text)) == recorded


@pytest.mark.parametrize(
    ("text", "recorded"),
    [
        ("COPY a b /c/", "COPY a b /c/ # buildkit"),
        (
            "COPY --link --from=x --parents --chmod=1 --chown=2 a /c",
            "COPY --parents --chown=2 --chmod=1 a /c # buildkit",
        ),
        ("ADD <<A <<B /c/\nA\nB", "ADD <<A <<B /c/ # buildkit"),
    ],
)
def test_the_history_says_what_was_copied(text: str, recorded: str) -> None:
    one = instruction(text)
    assert isinstance(one, Copy | Add)
    assert created_by.of_files(one) == recorded


def test_the_history_says_what_was_run_and_is_to_be_run() -> None:
    assert created_by.of_run(("/bin/sh", "-c", "a b"), {}) == "RUN /bin/sh -c a b # buildkit"
    assert created_by.of_run(("a",), {"A": "1", "B": ""}) == "RUN |2 A=1 B= a # buildkit"
    assert created_by.of_command("CMD", ("/bin/sh", "-c", 'a "b"')) == 'CMD ["/bin/sh" "-c" "a \\"b\\""]'
    assert created_by.of_command("ENTRYPOINT", ()) == "ENTRYPOINT []"
