"""Checks of stages and their base images."""

from __future__ import annotations

import difflib
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
            yield stage.base.line, f'Duplicate stage name "{stage.base.name}", stage names should be unique'
        if stage.base.name:
            seen.add(stage.base.name)


def reserved_stage_name(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """`scratch` and `context` mean something else already."""
    for stage in dockerfile.stages:
        if stage.base.name in _RESERVED:
            message = f'Stage name should not use the same name as reserved stage "{stage.base.name}"'
            yield stage.base.line, message


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
                near = difflib.get_close_matches(name, sorted(declared), 1, 0.75)
                suggestion = f" (did you mean {near[0]}?)" if near else ""
                yield stage.base.line, f"FROM argument '{name}' is not declared{suggestion}"


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
            message = f"Default value for ARG {stage.base.image} results in empty or invalid base image name"
            yield stage.base.line, message


def redundant_target_platform(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """The target platform is what FROM takes by itself."""
    for stage in dockerfile.stages:
        if re.fullmatch(r"\$(TARGETPLATFORM|\{TARGETPLATFORM\})", stage.base.platform):
            platform = stage.base.platform
            why = "is redundant as this is the default behavior"
            yield stage.base.line, f"Setting platform to predefined {platform} in FROM {why}"


def from_platform_flag_const(dockerfile: Dockerfile) -> Iterator[tuple[Line, str]]:
    """A fixed platform makes a multi-platform build wrong, unless another FROM of a stage says otherwise."""
    for stage in dockerfile.stages:
        platform = stage.base.platform
        own = stage.base.name and any(part in stage.base.name for part in platform.split("/"))
        if platform and "$" not in platform and not own:
            yield stage.base.line, f'FROM --platform flag should not use constant value "{platform}"'


RULES = (
    Rule("DuplicateStageName", "Stage names should be unique", duplicate_stage_name),
    Rule("ReservedStageName", "Reserved words should not be used as stage names", reserved_stage_name),
    Rule("UndefinedArgInFrom", "FROM command must use declared ARGs", undefined_arg_in_from),
    Rule(
        "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
        invalid_default_arg_in_from,
    ),
    Rule(
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        redundant_target_platform,
    ),
    Rule(
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
        from_platform_flag_const,
    ),
)
