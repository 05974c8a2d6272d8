"""Which variables an instruction sees."""

from __future__ import annotations

import pytest

from dockwright.build.dockerfile import DockerfileError, parse
from dockwright.build.dockerfile.scope import Scope, global_scope

PLATFORM = {"TARGETPLATFORM": "linux/arm64", "TARGETARCH": "arm64", "BUILDPLATFORM": "linux/amd64"}


def last_workdir(text: str, given: dict[str, str] | None = None, env: dict[str, str] | None = None) -> str:
    """What the last WORKDIR of the last stage became."""
    dockerfile = parse(text)
    global_, _ = global_scope(dockerfile.arguments, given or {}, PLATFORM, dockerfile.escape)
    scope = Scope(dockerfile.escape, given or {}, global_, dict(env or {}))
    return [scope.see(one) for one in dockerfile.stages[-1].instructions][-1].path  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize(
    ("text", "given", "env", "path"),
    [
        ("FROM a\nARG A=b\nWORKDIR $A", {}, {}, "b"),
        ("FROM a\nARG A\nWORKDIR x$A", {}, {}, "x"),
        ("FROM a\nARG A\nWORKDIR $A", {"A": "g"}, {}, "g"),
        ("FROM a\nARG A=b\nWORKDIR $A", {"A": "g"}, {}, "g"),
        ("FROM a\nWORKDIR x$A", {"A": "g"}, {}, "x"),
        ("FROM a\nWORKDIR x$A\nARG A=b\nWORKDIR $A", {}, {}, "b"),
        ("ARG A=b\nFROM a\nWORKDIR x$A", {}, {}, "x"),
        ("ARG A=b\nFROM a\nARG A\nWORKDIR x$A", {}, {}, "xb"),
        ("ARG A=b\nFROM a\nARG A=c\nWORKDIR x$A", {}, {}, "xc"),
        ("ARG A=b\nFROM a\nARG A\nWORKDIR x$A", {"A": "g"}, {}, "xg"),
        ("ARG A=b\nARG B=${A}c\nFROM a\nARG B\nWORKDIR $B", {}, {}, "bc"),
        ("ARG A=b\nARG B=${A}c\nFROM a\nARG B\nWORKDIR $B", {"A": "g"}, {}, "gc"),
        ("FROM a\nARG A=b B=${A}c\nWORKDIR $B", {}, {}, "bc"),
        ("FROM a\nENV A=e\nARG A=b\nWORKDIR $A", {}, {}, "b"),
        ("FROM a\nARG A=b\nENV A=e\nWORKDIR $A", {}, {}, "e"),
        ("FROM a\nARG A=b\nENV A=e\nWORKDIR $A", {"A": "g"}, {}, "e"),
        ("FROM a\nARG A=b\nENV B=${A:-x}\nWORKDIR $B", {}, {}, "b"),
        ("FROM a\nENV A=1 B=$A\nWORKDIR x$B", {}, {}, "x"),
        ("FROM a\nENV A=1\nENV A=2 B=$A\nWORKDIR x$B", {}, {}, "x1"),
        ("FROM a\nWORKDIR $HOME_DIR", {}, {"HOME_DIR": "/h"}, "/h"),
        ("FROM a\nARG HOME_DIR=b\nWORKDIR $HOME_DIR", {}, {"HOME_DIR": "/h"}, "b"),
        ("FROM a\nARG HOME_DIR\nWORKDIR $HOME_DIR", {}, {"HOME_DIR": "/h"}, "/h"),
        ("FROM a\nENV A=e\nARG A=b\nENV A=f\nWORKDIR $A", {}, {}, "f"),
        ("FROM a\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nWORKDIR x$BUILDKIT_SBOM_SCAN_STAGE", {}, {}, "x"),
        ("FROM a\nARG TARGETARCH\nWORKDIR $TARGETARCH", {}, {}, "arm64"),
        ("FROM a\nARG TARGETARCH\nWORKDIR $TARGETARCH", {"TARGETARCH": "x"}, {}, "x"),
        ("FROM a\nWORKDIR x$TARGETARCH", {}, {}, "x"),
        ("FROM a\nWORKDIR $HTTP_PROXY", {"HTTP_PROXY": "p"}, {}, "p"),
        ("FROM a\nWORKDIR $no_proxy", {"no_proxy": "p"}, {}, "p"),
        ("FROM a\nENV A='$B' C=\"$A\"\nWORKDIR $A", {}, {}, "$B"),
        ("# escape=`\nFROM a\nENV A=c:\\x\nWORKDIR $A", {}, {}, "c:\\x"),
        ('FROM a\nENV A="b c"\nWORKDIR $A', {}, {}, "b c"),
        ("FROM a\nENV A b c\nWORKDIR $A", {}, {}, "b c"),
    ],
)
def test_scopes(text: str, given: dict[str, str], env: dict[str, str], path: str) -> None:
    assert last_workdir(text, given, env) == path


def test_a_variable_that_is_required_is_an_error_at_its_place() -> None:
    with pytest.raises(DockerfileError) as raised:
        last_workdir("FROM a\nARG A\nWORKDIR /x/${A:?set it}")
    assert "Dockerfile:3:12: failed to process '/x/${A:?set it}': A: set it" in str(raised.value)


def test_a_bad_default_before_the_first_stage_is_an_error_at_its_place() -> None:
    with pytest.raises(DockerfileError, match="Dockerfile:1:"):
        last_workdir("ARG A=${B\nFROM a\nWORKDIR x")


def test_global_arguments_without_a_value_are_known_as_empty() -> None:
    dockerfile = parse("ARG A\nARG B=1\nARG TARGETARCH\nFROM a")
    assert global_scope(dockerfile.arguments, {}, PLATFORM, "\\") == (PLATFORM | {"B": "1"}, {"A"})


def test_several_ports_may_come_out_of_one_variable() -> None:
    dockerfile = parse('FROM a\nENV P="80 90/udp"\nEXPOSE $P 100')
    scope = Scope("\\", {}, {})
    seen = [scope.see(one) for one in dockerfile.stages[0].instructions]
    assert seen[-1].ports == ("80", "90/udp", "100")  # type: ignore[attr-defined]
