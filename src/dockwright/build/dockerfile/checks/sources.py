"""Checks that need more than the Dockerfile: what the context leaves out, what base images set."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dockwright.build.dockerfile.checks.rule import Finding, Rule
from dockwright.build.dockerfile.errors import DockerfileError
from dockwright.build.dockerfile.instructions.add import Add
from dockwright.build.dockerfile.instructions.copy import Copy
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.scope import Scope, global_scope
from dockwright.build.dockerfile.stages import Dockerfile
from dockwright.ignoring import Patterns, has_wildcard
from dockwright.oci import Platform

COPY_IGNORED_FILE = Rule(
    "CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore", lambda _: iter(())
)
UNDEFINED_VAR = Rule("UndefinedVar", "Variables should be defined before their use", lambda _: iter(()))
INVALID_BASE_IMAGE_PLATFORM = Rule(
    "InvalidBaseImagePlatform",
    "Base image platform does not match expected target platform",
    lambda _: iter(()),
    page=False,
)
RULES = (COPY_IGNORED_FILE, UNDEFINED_VAR, INVALID_BASE_IMAGE_PLATFORM)
# Patterns that leave nothing of a context.
_EVERYTHING = ("*", "**", "**/*")


@dataclass(frozen=True)
class Known:
    """What is known of a base image: `written` as the FROM at `line` has it, `name` with its variables replaced."""

    line: Line
    written: str
    name: str
    environment: Mapping[str, str]
    # What it is made for, and what it was wanted for.
    platform: Platform
    expected: Platform


def invalid_base_image_platform(known: Sequence[Known]) -> Iterator[Finding]:
    """An image for one platform alone is taken for any: its programs may not run."""
    for one in known:
        actual, expected = one.platform.normal, one.expected.normal
        if actual.os and (actual.os, actual.architecture) != (expected.os, expected.architecture):
            told = f'"{actual}", expected "{expected}" for current build'
            message = f"Base image {one.name} was pulled with platform {told}"
            yield Finding(INVALID_BASE_IMAGE_PLATFORM, one.line, message)


def copy_ignored_file(dockerfile: Dockerfile, ignored: Patterns) -> Iterator[Finding]:
    """COPY and ADD of a path that the ignore file takes out of the context.

    Nothing is said where the file takes anything back in, nor of the whole context unless all of it is left out.
    """
    if ignored.has_exceptions:
        return
    all_left_out = any(line in _EVERYTHING for line in ignored.lines)
    for stage in dockerfile.stages:
        for one in stage.instructions:
            if not isinstance(one, Copy | Add) or (isinstance(one, Copy) and one.from_):
                continue
            for path in one.paths:
                clean = posixpath.normpath(path).strip("/") or "."
                plain = "$" not in path and "://" not in path and not has_wildcard(path)
                if plain and (all_left_out if clean == "." else ignored.matches(clean)):
                    verb = one.keyword.capitalize()
                    message = f'Attempting to {verb} file "{clean}" that is excluded by .dockerignore'
                    yield Finding(COPY_IGNORED_FILE, one.line, message)


def undefined_var(dockerfile: Dockerfile, environments: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Variables that nobody sets, in stages whose base image's environment is known (`scratch` has none)."""
    try:
        global_, _ = global_scope(dockerfile.arguments, {}, {}, dockerfile.escape)
        known: dict[int, Scope] = {}
        for stage in dockerfile.stages:
            base = dockerfile.stage(stage.base.image, stage.number)
            if base is not None:
                if base.number not in known:
                    continue
                scope = known[base.number].inherited()
            else:
                env = environments.get(stage.base.image)
                if env is None and stage.base.image != "scratch":
                    continue
                scope = Scope(dockerfile.escape, {}, global_, dict(env or {}))
            scope.env.setdefault("PATH", "")
            for one in stage.instructions:
                scope.see(one)
            known[stage.number] = scope
            for use in scope.unset:
                near = f" (did you mean ${use.near}?)" if use.near else ""
                yield Finding(UNDEFINED_VAR, use.line, f"Usage of undefined variable '${use.name}'{near}")
    except DockerfileError:
        return  # an error of the build, which tells it better
