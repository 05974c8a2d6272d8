"""Checks of stages and their base images."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dockwright.build.dockerfile.checks.rule import Rule
from dockwright.build.dockerfile.errors import DockerfileError
from dockwright.build.dockerfile.expansion import BadExpansion, expand
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.scope import global_scope
from dockwright.build.dockerfile.stages import Dockerfile
from dockwright.errors import Invalid
from dockwright.oci import reference

_RESERVED = ("scratch", "context")
PLATFORM_ARGUMENTS = tuple(
    f"{side}{part}" for side in ("TARGET", "BUILD") for part in ("PLATFORM", "OS", "ARCH", "VARIANT", "OSVERSION")
) + ("TARGETSTAGE",)


def duplicate_stage_name(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """Only the last of them can be meant by its name."""
    seen: set[str] = set()
    for stage in dockerfile.stages:
        if stage.base.name in seen:
            yield stage.base.line, f'duplicate stage name "{stage.base.name}": stage names should be unique'
        if stage.base.name:
            seen.add(stage.base.name)


def reserved_stage_name(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """`scratch` and `context` mean something else already."""
    for stage in dockerfile.stages:
        if stage.base.name in _RESERVED:
            yield stage.base.line, f'the stage has the name of the reserved stage "{stage.base.name}"'


def undefined_arg_in_from(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """A FROM sees the ARGs before the first FROM, and nothing else."""
    declared = {name for argument in dockerfile.arguments for name, _ in argument.pairs} | set(PLATFORM_ARGUMENTS)
    known = dict.fromkeys(declared, "")
    for stage in dockerfile.stages:
        for text in (stage.base.image, stage.base.platform):
            try:
                unset = expand(text, known, dockerfile.escape).unset
            except BadExpansion:
                continue  # an error of the build, and no matter of style
            for name in sorted(unset):
                yield stage.base.line, f"FROM argument '{name}' is not declared"


def invalid_default_arg_in_from(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """The defaults alone should name an image, so that a build without arguments works."""
    try:
        defaults, _ = global_scope(
            dockerfile.arguments, {}, dict.fromkeys(PLATFORM_ARGUMENTS, "linux"), dockerfile.escape
        )
    except DockerfileError:
        return
    for number, stage in enumerate(dockerfile.stages):
        if "$" not in stage.base.image:
            continue
        try:
            name = expand(stage.base.image, defaults, dockerfile.escape).text
            if name != "scratch" and dockerfile.stage(name, number) is None:
                reference.parse(name)
        except (BadExpansion, Invalid):
            yield stage.base.line, f"the default value for {stage.base.image} gives an empty or invalid base image name"


def redundant_target_platform(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """The target platform is what FROM takes by itself."""
    for stage in dockerfile.stages:
        if re.fullmatch(r"\$(TARGETPLATFORM|\{TARGETPLATFORM\})", stage.base.platform):
            yield stage.base.line, f"--platform={stage.base.platform} is redundant: it is the default"


def from_platform_flag_const(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """A fixed platform makes a multi-platform build wrong, unless another FROM of a stage says otherwise."""
    for stage in dockerfile.stages:
        platform = stage.base.platform
        own = stage.base.name and any(part in stage.base.name for part in platform.split("/"))
        if platform and "$" not in platform and not own:
            yield stage.base.line, f'FROM --platform should not be the constant "{platform}"'


RULES = (
    Rule("DuplicateStageName", "stage names are unique", duplicate_stage_name),
    Rule("ReservedStageName", "stages are not called as reserved words", reserved_stage_name),
    Rule("UndefinedArgInFrom", "FROM uses arguments that are declared", undefined_arg_in_from),
    Rule("InvalidDefaultArgInFrom", "defaults of global arguments name valid images", invalid_default_arg_in_from),
    Rule("RedundantTargetPlatform", "FROM does not name the platform it takes anyway", redundant_target_platform),
    Rule("FromPlatformFlagConstDisallowed", "FROM does not fix a platform", from_platform_flag_const),
)
