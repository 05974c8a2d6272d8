"""What a Dockerfile says about itself: BuildKit's subrequests."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from dockwright.build.describing import REQUESTS, answer
from dockwright.build.dockerfile import DockerfileError
from dockwright.build.planning.plan import Options
from dockwright.errors import Invalid, Unsupported

FILE = b"""\
# VERSION of the base
ARG VERSION=12
ARG SUITE=deb-$VERSION
ARG UNUSED=1
FROM base:$SUITE AS base
# MODE how it runs
ARG MODE=fast
ENV KIND=$MODE

# build compiles all of it
FROM --platform=$BUILDPLATFORM base AS build
ARG VERSION
ARG EXTRA=$KIND-x
RUN --mount=type=secret,id=token,required=true \\
    --mount=type=ssh true
FROM scratch AS other
ARG LONELY
FROM scratch
COPY --from=build /x /
RUN --mount=type=bind,from=base,target=/b --mount=type=secret,target=/run/npmrc /x
"""


def asked(request: str, text: bytes = FILE, **options: Any) -> tuple[Any, str]:
    found = answer(f"frontend.{request}", text, options=Options(**options))
    assert found["version"] == b"1.0.0"
    return json.loads(found["result.json"]), found["result.txt"].decode()


def test_targets_are_listed_with_what_the_comments_say() -> None:
    found, text = asked("targets")
    assert base64.b64decode(found["sources"][0]) == FILE
    assert found["targets"] == [
        {"name": "base", "base": "base:$SUITE", "location": lines(5)},
        {
            "name": "build",
            "description": "compiles all of it",
            "base": "base",
            "platform": "$BUILDPLATFORM",
            "location": lines(11),
        },
        {"name": "other", "base": "scratch", "location": lines(16)},
        {"default": True, "base": "scratch", "location": lines(18)},
    ]
    assert text == "TARGET    DESCRIPTION\nbase      \nbuild     compiles all of it\nother     \n(default) \n"


def lines(first: int, last: int | None = None) -> dict[str, Any]:
    numbers = range(first, (last or first) + 1)
    return {"ranges": [{"start": {"line": number}, "end": {"line": number}} for number in numbers]}


def test_the_outline_of_the_default_target_holds_all_that_it_needs() -> None:
    found, text = asked("outline")
    assert found["args"] == [
        {"name": "VERSION", "description": "of the base", "value": "12", "location": lines(2)},
        {"name": "SUITE", "value": "deb-12", "location": lines(3)},
        {"name": "MODE", "description": "how it runs", "value": "fast", "location": lines(7)},
        {"name": "EXTRA", "value": "fast-x", "location": lines(13)},
    ]
    assert found["secrets"] == [
        {"name": "token", "required": True, "location": lines(14, 15)},
        {"name": "npmrc", "location": lines(20)},
    ]
    assert found["ssh"] == [{"name": "default", "location": lines(14, 15)}]
    assert "name" not in found
    assert text.startswith("BUILD ARG   VALUE    DESCRIPTION\nVERSION     12       of the base\n")
    assert "SECRET   REQUIRED\ntoken    true\nnpmrc    \n" in text


def test_the_outline_of_a_target_names_it_and_takes_the_builds_arguments() -> None:
    found, text = asked("outline", target="base", arguments={"VERSION": "13"})
    assert [(one["name"], one["value"]) for one in found["args"]] == [
        ("VERSION", "13"),
        ("SUITE", "deb-13"),
        ("MODE", "fast"),
    ]
    assert "secrets" not in found
    assert text.startswith("TARGET: base\n\n")
    with pytest.raises(Invalid, match='target stage "nope" could not be found'):
        asked("outline", target="nope")


def test_lint_tells_findings_with_their_lines_and_a_status() -> None:
    found = answer("frontend.lint", b"FROM a AS B\nMAINTAINER c\n", name="My.Dockerfile")
    result = json.loads(found["result.json"])
    assert [one["ruleName"] for one in result["warnings"]] == ["StageNameCasing", "MaintainerDeprecated"]
    assert result["warnings"][0] == {
        "ruleName": "StageNameCasing",
        "description": "Stage names should be lowercase",
        "url": "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
        "detail": "Stage name 'B' should be lowercase",
        "location": lines(1),
    }
    assert result["sources"][0]["filename"] == "My.Dockerfile"
    assert found["result.statuscode"] == b"1"
    assert (
        found["result.txt"]
        .decode()
        .startswith(
            "\nWARNING: StageNameCasing - https://docs.docker.com/go/dockerfile/rule/stage-name-casing/\n"
            "Stage name 'B' should be lowercase\nMy.Dockerfile:1\n--------------------\n   1 | >>> FROM a AS B\n"
        )
    )


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (b"FROM a\nRUNN b", 2, "unknown instruction: RUNN"),
        (b"ARG A\nFROM $A", 0, ""),
        (b"FROM a\nRUN --mount=type=nothing b", 2, 'unsupported mount type "nothing"'),
        (b"# check=what=ever\nFROM a", 1, "invalid check option"),
    ],
)
def test_lint_tells_what_keeps_the_file_from_being_built(text: bytes, line: int, message: str) -> None:
    found = answer("frontend.lint", text)
    result = json.loads(found["result.json"])
    assert found["result.statuscode"] == b"1"
    if line:
        assert message in result["buildError"]["message"]
        assert result["buildError"]["location"] == lines(line)


def test_a_clean_file_has_status_0() -> None:
    found = answer("frontend.lint", b"FROM scratch\nCOPY a /\n")
    assert (found["result.statuscode"], found["result.txt"]) == (b"0", b"")
    assert json.loads(found["result.json"])["warnings"] == []


def test_requests_describe_themselves_and_others_are_refused() -> None:
    found, text = asked("subrequests.describe", b"")
    assert [one["name"] for one in found] == list(REQUESTS)
    assert text.splitlines()[1] == "outline              1.0.0   List all parameters current build target supports"
    with pytest.raises(Unsupported, match="unsupported request"):
        asked("invented")


def test_a_file_that_cannot_be_read_is_an_error_of_the_others() -> None:
    with pytest.raises(DockerfileError):
        asked("targets", b"RUNN")
