"""Checks that need more than the Dockerfile: what the context leaves out, what base images set."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from dockwright.build.dockerfile.checks.rule import Finding, Rule
from dockwright.build.dockerfile.errors import DockerfileError
from dockwright.build.dockerfile.instructions.add import Add
from dockwright.build.dockerfile.instructions.copy import Copy
from dockwright.build.dockerfile.scope import Scope, global_scope
from dockwright.build.dockerfile.stages import Dockerfile
from dockwright.ignoring import Patterns, has_wildcard

COPY_IGNORED_FILE = Rule(
    "CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore", lambda _: iter(())
)
UNDEFINED_VAR = Rule("UndefinedVar", "Variables should be defined before their use", lambda _: iter(()))
RULES = (COPY_IGNORED_FILE, UNDEFINED_VAR)


def copy_ignored_file(dockerfile: Dockerfile, ignored: Patterns) -> Iterator[Finding]:
    """COPY and ADD of a path that the ignore file takes out of the context."""
    for stage in dockerfile.stages:
        for one in stage.instructions:
            if not isinstance(one, Copy | Add) or (isinstance(one, Copy) and one.from_):
                continue
            for path in one.paths:
                clean = posixpath.normpath(path).strip("/")
                plain = clean and "$" not in path and "://" not in path and not has_wildcard(path)
                if plain and ignored.matches(clean) and not ignored.may_hold_exceptions(clean):
                    verb = one.keyword.capitalize()
                    message = f'Attempting to {verb} file "{clean}" that is excluded by .dockerignore'
                    yield Finding(COPY_IGNORED_FILE, one.line, message)


def undefined_var(dockerfile: Dockerfile, environments: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Variables that nobody sets, in stages whose base image's environment is known (`scratch` has none)."""
    try:
        global_, _ = global_scope(dockerfile.arguments, {}, {}, dockerfile.escape)
        known: dict[int, dict[str, str]] = {}
        for stage in dockerfile.stages:
            base = dockerfile.stage(stage.base.image, stage.number)
            env = known.get(base.number) if base is not None else environments.get(stage.base.image)
            if env is None and stage.base.image != "scratch":
                continue
            scope = Scope(dockerfile.escape, {}, global_, dict(env or {}))
            scope.env.setdefault("PATH", "")
            for one in stage.instructions:
                scope.see(one)
            known[stage.number] = scope.env
            for use in scope.unset:
                near = f" (did you mean ${use.near}?)" if use.near else ""
                yield Finding(UNDEFINED_VAR, use.line, f"Usage of undefined variable '${use.name}'{near}")
    except DockerfileError:
        return  # an error of the build, which tells it better
