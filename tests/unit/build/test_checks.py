"""The build checks: one finding for each rule, and none where the rule says nothing."""

from __future__ import annotations

import pytest

from dockwright.build.dockerfile import DockerfileError, parse
from dockwright.build.dockerfile.checks import RULES, Choice, Known, check, check_before, refuse
from dockwright.errors import Invalid
from dockwright.ignoring import read_ignore_file
from dockwright.oci import platform as platforms


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
        ("NoEmptyContinuation", 4, "FROM a\nRUN b \\\n\n c"),
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
        ("JSONArgsRecommended", 3, 'FROM a AS x\nFROM a\nCMD b\nFROM c\nSHELL ["s"]'),
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
        'FROM a AS x\nSHELL ["/bin/bash", "-c"]\nFROM x\nCMD b',
        "FROM scratch AS x\nARG A\nFROM x\nWORKDIR /$A",
        "FROM a\nCMD []",
        "FROM a\nWORKDIR /b\nWORKDIR c",
        "FROM a AS x\nWORKDIR /b\nFROM x\nWORKDIR c",
        'FROM a\nCMD ["b"]\nFROM c\nCMD ["d"]',
        "FROM a\nENV PUBLIC_KEY=b KEYBOARD=c TOKENIZER=d PASSWORD_FILE=e TOKEN_VERSION=f",
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
    ignored = read_ignore_file("*.md\nsecret")
    text = "FROM a\nCOPY a.md /\nADD secret/x /\nCOPY --from=b a.md /\nCOPY *.md /\nCOPY b /"
    (first, *_) = check(parse(text), ignored=ignored)
    assert first.message == 'Attempting to Copy file "a.md" that is excluded by .dockerignore'
    assert found(text, ignored=ignored) == [("CopyIgnoredFile", 2), ("CopyIgnoredFile", 3)]


@pytest.mark.parametrize(
    ("ignored", "told"),
    [("*", True), ("**", True), ("**/*", True), (".*", False), ("*.md", False), ("*\n!a", False), ("", False)],
)
def test_the_whole_context_is_left_out_where_nothing_of_it_is_left(ignored: str, told: bool) -> None:
    findings = check(parse("FROM a\nCOPY . /\nADD / /"), ignored=read_ignore_file(ignored))
    wanted = [f'Attempting to {verb} file "." that is excluded by .dockerignore' for verb in ("Copy", "Add")]
    assert [each.message for each in findings] == (wanted if told else [])


def known(name: str, environment: dict[str, str], platform: str = "linux/amd64") -> Known:
    """A base image, wanted for linux/amd64."""
    (line,) = [stage.base.line for stage in parse(f"FROM {name}").stages]
    return Known(line, name, name, environment, platforms.parse(platform), platforms.parse("linux/amd64"))


def test_a_base_image_for_another_platform_is_told_and_explained_nowhere() -> None:
    bases = [known("b:1", {}, "linux/arm64"), known("c", {}), known("d", {}, "linux/amd64/v2")]
    (finding,) = check(parse("FROM b:1"), bases=bases)
    told = 'Base image b:1 was pulled with platform "linux/arm64", expected "linux/amd64" for current build'
    assert (finding.rule.name, finding.message, finding.rule.url) == ("InvalidBaseImagePlatform", told, "")


def test_variables_of_a_known_base_image_are_defined() -> None:
    text = "FROM base\nWORKDIR /$HOME_DIR\nWORKDIR /$HOME_DIRR"
    (finding,) = check(parse(text), bases=[known("base", {"HOME_DIR": "x"})])
    assert "did you mean $HOME_DIR?" in finding.message


def test_what_stands_before_a_mistake_is_told() -> None:
    text = b"FROM scratch AS Bad\nMAINTAINER me\nCMD x\nBADCMD\nMAINTAINER you\n"
    with pytest.raises(DockerfileError) as raised:
        parse(text)
    told = [(each.rule.name, each.line.start) for each in check_before(text, raised.value)]
    assert told == [("StageNameCasing", 1), ("MaintainerDeprecated", 2)]
    with pytest.raises(DockerfileError) as raised:
        parse(b"BADCMD")
    assert check_before(b"BADCMD", raised.value) == []


def test_checks_are_skipped_by_name_or_all() -> None:
    assert found("# check=skip=StageNameCasing\nFROM a AS B\nMAINTAINER c") == [("MaintainerDeprecated", 3)]
    assert found("# check=skip=stagenamecasing,MaintainerDeprecated\nFROM a AS B\nMAINTAINER c") == []
    assert found("# check=skip=all\nFROM a AS B") == []
    assert Choice.of(parse("# check=skip=A;error=true\nFROM a")) == Choice(frozenset({"a"}), error=True)


def test_a_comment_above_an_instruction_skips_checks_of_that_one() -> None:
    text = "FROM a\n# check=skip=MaintainerDeprecated because\nMAINTAINER b\nMAINTAINER c"
    assert found(text) == [("MaintainerDeprecated", 4)]
    assert found("FROM a\n# check=nothing\nMAINTAINER b") == [("MaintainerDeprecated", 3)]


def test_the_experimental_rule_runs_where_it_is_asked_for() -> None:
    text = "# about all\nFROM a AS b\n# B is one\nARG B\n# other\nARG C D\n"
    assert found(text) == []
    wanted = [("InvalidDefinitionDescription", 2), ("InvalidDefinitionDescription", 6)]
    for name in ("all", "InvalidDefinitionDescription"):
        choice = Choice.parse(f"experimental={name}")
        assert found(text, choice=choice) == wanted
    assert found(text, choice=Choice.parse("skip=all;experimental=all")) == []


def test_an_argument_of_the_build_says_it_in_the_directives_stead() -> None:
    dockerfile = parse("# check=skip=all\nFROM a\nMAINTAINER b")
    choice = Choice.of(dockerfile, {"BUILDKIT_DOCKERFILE_CHECK": "error=true"})
    findings = check(dockerfile, choice)
    with pytest.raises(Invalid, match="lint violation found for rules: MaintainerDeprecated"):
        refuse(choice, findings)
    refuse(Choice(), findings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FROM a AS Build", "Stage name 'Build' should be lowercase"),
        ("FROM a as b", "'as' and 'FROM' keywords' casing do not match"),
        ("FROM a\nRUN b \\\n\n c", "Empty continuation line"),
        ("FROM a\nrun b", "Command 'run' should match the case of the command majority (uppercase)"),
        ("FROM a AS b\nFROM c AS b", 'Duplicate stage name "b", stage names should be unique'),
        ("FROM a AS scratch", 'Stage name should not use the same name as reserved stage "scratch"'),
        (
            "FROM a\nCMD b",
            "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
        ),
        ("FROM a\nMAINTAINER b", "Maintainer instruction is deprecated in favor of using label"),
        ("ARG TAGS=1\nFROM a:${TAG:-x}$TAGZ", "FROM argument 'TAGZ' is not declared (did you mean TAGS?)"),
        (
            "FROM a\nWORKDIR b",
            'Relative workdir "b" can have unexpected results if the base image changes',
        ),
        ("FROM scratch\nWORKDIR /$dir", "Usage of undefined variable '$dir'"),
        (
            'FROM a\nCMD ["b"]\nCMD ["c"]',
            "Multiple CMD instructions should not be used in the same stage because only the last one will be used",
        ),
        ("FROM a\nENV b c", '"ENV key=value" should be used instead of legacy "ENV key value" format'),
        (
            "FROM --platform=$TARGETPLATFORM a",
            "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        ),
        ("FROM a\nARG API_KEY", 'Do not use ARG or ENV instructions for sensitive data (ARG "API_KEY")'),
        ("ARG TAG\nFROM a:$TAG", "Default value for ARG a:$TAG results in empty or invalid base image name"),
        ("FROM --platform=linux/amd64 a", 'FROM --platform flag should not use constant value "linux/amd64"'),
        ("FROM a\nEXPOSE 80/TCP", "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase"),
        (
            "FROM a\nEXPOSE 1:2",
            "EXPOSE instruction should not define an IP address or host-port mapping, found '1:2'",
        ),
    ],
)
def test_messages_are_those_that_tools_match_on(text: str, message: str) -> None:
    assert message in [each.message for each in check(parse(text))]


@pytest.mark.parametrize("text", ["skip", "error=maybe", "what=ever"])
def test_a_directive_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError, match="1:1: invalid check option"):
        check(parse(f"# check={text}\nFROM a"))


def test_every_rule_has_a_page_and_a_name_of_its_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES) == 22
    urls = {rule.name: rule.url for rule in RULES}
    assert urls["StageNameCasing"].endswith("/rule/stage-name-casing/")
    assert urls["JSONArgsRecommended"].endswith("/rule/json-args-recommended/")
