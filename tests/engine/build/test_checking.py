"""Build checks in builds: what they find is told, and fails the build where that is asked for."""

from __future__ import annotations

import json

import pytest
from tests.engine.build.conftest import Bench, Outcome, give

from dockwright.build import Options, Warned, describing, outputs
from dockwright.errors import Invalid, NotFound
from dockwright.oci import platform as platforms

pytestmark = pytest.mark.root


def warned(outcome: Outcome) -> list[tuple[str, int]]:
    return [(one.rule, one.line) for one in outcome.progress if isinstance(one, Warned)]


async def test_findings_are_told_each_once(bench: Bench) -> None:
    outcome = await bench.build("FROM busybox AS One\nMAINTAINER me\nWORKDIR /$UNKNOWN\n")
    assert sorted(warned(outcome)) == [("MaintainerDeprecated", 2), ("StageNameCasing", 1), ("UndefinedVar", 3)]


async def test_variables_of_the_base_image_are_defined(bench: Bench) -> None:
    await bench.build("FROM busybox\nENV GIVEN=here\n", names=("base:env",))
    assert warned(await bench.build("FROM base:env\nWORKDIR /$GIVEN\n")) == []


async def test_a_base_image_for_one_platform_alone_is_taken_for_any_and_told(bench: Bench) -> None:
    foreign = next(
        one for one in map(platforms.parse, ("linux/arm64", "linux/amd64")) if platforms.host().rank(one) is None
    )
    name = {"type": "image", "name": "far:away"}
    await give(bench, "FROM scratch\nCOPY a.txt /a\n", outputs.parse(name), platforms=(foreign,))
    image = await bench.engine.images.resolve("far:away", foreign)
    await bench.engine.images.tag(image.variant.descriptor.digest, "far:single")
    outcome = await bench.build("FROM far:single\nCOPY a.txt /b\n", {"a.txt": "A"})
    assert warned(outcome) == [("InvalidBaseImagePlatform", 1)]
    assert (await bench.engine.images.resolve(outcome.image_id)).platform == foreign
    with pytest.raises(NotFound, match="nothing"):
        await bench.build("FROM nothing\n")


async def test_findings_fail_the_build_where_the_file_says_so(bench: Bench) -> None:
    text = "# check=error=true\nFROM busybox\nMAINTAINER me\n"
    with pytest.raises(Invalid, match="lint violation found for rules: MaintainerDeprecated"):
        await bench.build(text)
    await bench.build(text, arguments={"BUILDKIT_DOCKERFILE_CHECK": "skip=all;error=true"})


async def test_base_images_that_are_here_are_known_without_building(bench: Bench) -> None:
    await bench.build("FROM busybox\nENV GIVEN=here\n", names=("base:known",))
    text = (
        b"ARG NAME=base\nFROM ${NAME}:known AS a\nFROM a\nWORKDIR /$GIVEN\nFROM nothing-here\nFROM scratch\n"
        b"FROM --platform=$BUILDPLATFORM busybox\nWORKDIR /$GIVEN\n"
    )
    bases = await describing.known(text, Options(), bench.engine.images.resolve)
    assert [(one.name, one.environment.get("GIVEN")) for one in bases] == [("base:known", "here"), ("busybox", None)]
    answer = json.loads(describing.answer("frontend.lint", text, bases=bases)["result.json"])
    assert [one["detail"] for one in answer["warnings"]] == ["Usage of undefined variable '$GIVEN'"]
    assert await describing.known(b"FROM busybox\nWHAT", Options(), bench.engine.images.resolve) == []
