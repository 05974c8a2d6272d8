"""The build checks: one finding for each rule, and none where the rule says nothing."""

from __future__ import annotations

import pytest

from dockwright.build.dockerfile import DockerfileError, parse
from dockwright.build.dockerfile.checks import RULES, Choice, check
from dockwright.ignoring import read_ignore_file


def found(text: str, **options: object) -> list[tuple[str, int]]:
    return [(each.rule.name, each.line.start) for each in check(parse(text), **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "line", "text"),
    [
        ("StageNameCasing", 1, "FROM a AS Build"),
        ("FromAsCasing", 1, "FROM a as b"),
        ("FromAsCasing", 1, "from a AS b"),
        ("ConsistentInstructionCasing", 2, "FROM a\nrun b\nRUN c"),
        ("ConsistentInstructionCasing", 1, "FROM a\nrun b\nrun c"),
        ("ConsistentInstructionCasing", 2, "FROM a\nRun b"),
        ("ExposeProtoCasing", 2, "FROM a\nEXPOSE 80/TCP"),
        ("DuplicateStageName", 2, "FROM a AS b\nFROM c AS b"),
        ("ReservedStageName", 1, "FROM a AS scratch"),
        ("ReservedStageName", 1, "FROM a AS context"),
        ("UndefinedArgInFrom", 2, "ARG A=1\nFROM a:$B"),
        ("UndefinedArgInFrom", 1, "FROM --platform=$PLATFORM a"),
        ("InvalidDefaultArgInFrom", 2, "ARG TAG\nFROM a:${TAG}"),
        ("InvalidDefaultArgInFrom", 2, "ARG IMAGE\nFROM $IMAGE"),
        ("RedundantTargetPlatform", 1, "FROM --platform=$TARGETPLATFORM a"),
        ("RedundantTargetPlatform", 1, "FROM --platform=${TARGETPLATFORM} a"),
        ("FromPlatformFlagConstDisallowed", 1, "FROM --platform=linux/amd64 a"),
        ("NoEmptyContinuation", 2, "FROM a\nRUN b \\\n\n c"),
        ("JSONArgsRecommended", 2, "FROM a\nCMD b"),
        ("JSONArgsRecommended", 2, "FROM a\nENTRYPOINT b c"),
        ("MaintainerDeprecated", 2, "FROM a\nMAINTAINER b"),
        ("WorkdirRelativePath", 2, "FROM a\nWORKDIR b"),
        ("MultipleInstructionsDisallowed", 2, 'FROM a\nCMD ["b"]\nCMD ["c"]'),
        ("MultipleInstructionsDisallowed", 2, "FROM a\nHEALTHCHECK NONE\nHEALTHCHECK NONE"),
        ("LegacyKeyValueFormat", 2, "FROM a\nENV b c"),
        ("LegacyKeyValueFormat", 2, "FROM a\nLABEL b c"),
        ("SecretsUsedInArgOrEnv", 2, "FROM a\nARG AWS_SECRET_KEY"),
        ("SecretsUsedInArgOrEnv", 2, "FROM a\nENV GITHUB_TOKEN=b"),
        ("SecretsUsedInArgOrEnv", 1, "ARG password=x\nFROM a"),
        ("ExposeInvalidFormat", 2, "FROM a\nEXPOSE 127.0.0.1:80:80"),
        ("UndefinedVar", 2, "FROM scratch\nWORKDIR /$dir"),
        ("UndefinedVar", 3, "FROM scratch AS b\nFROM b\nWORKDIR /$dir"),
    ],
)
def test_each_rule_finds(rule: str, line: int, text: str) -> None:
    assert (rule, line) in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "FROM a AS b",
        "from a as b\nrun c",
        "FROM a AS b\nFROM b AS c",
        "ARG A=1\nFROM a:$A",
        "FROM --platform=$BUILDPLATFORM a AS b",
        "FROM --platform=linux/amd64 a AS build-amd64",
        "ARG TAG=1\nFROM a:${TAG}",
        "FROM ${IMAGE:-a}",
        "FROM a\nRUN b \\\n# comment\n c",
        'FROM a\nSHELL ["/bin/bash", "-c"]\nCMD b',
        "FROM a\nCMD []",
        "FROM a\nWORKDIR /b\nWORKDIR c",
        "FROM a AS x\nWORKDIR /b\nFROM x\nWORKDIR c",
        'FROM a\nCMD ["b"]\nFROM c\nCMD ["d"]',
        "FROM a\nENV PUBLIC_KEY=b KEYBOARD=c TOKENIZER=d",
        "FROM a\nEXPOSE 80/tcp 90-95 $PORT",
        "FROM scratch\nENV A=b\nWORKDIR /$A",
        "FROM scratch\nARG A\nWORKDIR /$A",
        "FROM scratch\nWORKDIR /${A:-b}",
        "FROM unknown\nWORKDIR /$A",
    ],
)
def test_nothing_is_found_where_nothing_is_wrong(text: str) -> None:
    assert found(text) == []


def test_what_the_ignore_file_leaves_out_is_told() -> None:
    ignored = read_ignore_file("*.md\nsecret\ndir\n!dir/kept")
    text = "FROM a\nCOPY a.md /\nADD secret/x /\nCOPY --from=b a.md /\nCOPY *.md /\nCOPY dir /\nCOPY b /"
    assert found(text, ignored=ignored) == [("CopyIgnoredFile", 2), ("CopyIgnoredFile", 3)]


def test_variables_of_a_known_base_image_are_defined() -> None:
    text = "FROM base\nWORKDIR /$HOME_DIR\nWORKDIR /$HOME_DIRR"
    (finding,) = check(parse(text), environments={"base": {"HOME_DIR": "x"}})
    assert "did you mean $HOME_DIR?" in finding.message


def test_checks_are_skipped_by_name_or_all() -> None:
    assert found("# check=skip=StageNameCasing\nFROM a AS B\nMAINTAINER c") == [("MaintainerDeprecated", 3)]
    assert found("# check=skip=stagenamecasing,MaintainerDeprecated\nFROM a AS B\nMAINTAINER c") == []
    assert found("# check=skip=all\nFROM a AS B") == []
    assert Choice.of(parse("# check=skip=A;error=true\nFROM a")) == Choice(frozenset({"a"}), error=True)


@pytest.mark.parametrize("text", ["skip", "error=maybe", "what=ever"])
def test_a_directive_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError, match="1:1: invalid check option"):
        check(parse(f"# check={text}\nFROM a"))


def test_every_rule_has_a_page_and_a_name_of_its_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) == 20
    urls = {rule.name: rule.url for rule in RULES}
    assert urls["StageNameCasing"].endswith("/rule/stage-name-casing/")
    assert urls["JSONArgsRecommended"].endswith("/rule/json-args-recommended/")
