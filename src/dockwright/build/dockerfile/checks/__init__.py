"""The build checks: what works and is likely not what was meant. `check` runs them all.

A rule is a function in one of the modules here and a row of its `RULES`. `# check=skip=NAME,NAME;error=true` at the top of a
Dockerfile, or whoever builds, chooses which ones, and whether findings fail the build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dockwright.build.dockerfile.checks import casing, sources, stages, usage
from dockwright.build.dockerfile.checks.rule import Finding, Rule
from dockwright.build.dockerfile.errors import Span
from dockwright.build.dockerfile.stages import Dockerfile
from dockwright.ignoring import Patterns

__all__ = ["RULES", "Choice", "Finding", "Rule", "check"]

_PURE = (*casing.RULES, *stages.RULES, *usage.RULES)
RULES = (*_PURE, sources.COPY_IGNORED_FILE, sources.UNDEFINED_VAR)


@dataclass(frozen=True)
class Choice:
    """Which checks run: not those in `skip` (`all`: none); and whether findings are errors."""

    skip: frozenset[str] = frozenset()
    error: bool = False

    @classmethod
    def of(cls, dockerfile: Dockerfile) -> Choice:
        """What the file's own `check` directive says. Raises `DockerfileError`."""
        text, line = dockerfile.directives.get("check", ("", 1))
        skip: set[str] = set()
        error = False
        for part in filter(None, (part.strip() for part in text.split(";"))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if name == "skip" and equals:
                skip |= {one.strip().lower() for one in value.split(",")}
            elif name == "error" and value.lower() in ("true", "false"):
                error = value.lower() == "true"
            elif name == "experimental" and equals:
                continue  # none of our rules is
            else:
                why = f"invalid check option {part!r}"
                raise dockerfile.source.error(why, Span(line, 1, 7), "skip=NAME,NAME or error=true")
        return cls(frozenset(skip), error)


def check(
    dockerfile: Dockerfile,
    choice: Choice | None = None,
    *,
    ignored: Patterns | None = None,
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Finding]:
    """What the checks find, in the file's order.

    `ignored` is the context's ignore file, `environments` those of base images by the name that FROM says, where known.
    Raises `DockerfileError` for a bad `check` directive.
    """
    chosen = choice or Choice.of(dockerfile)
    if "all" in chosen.skip:
        return []
    found = [finding for rule in _PURE for finding in rule.findings(dockerfile)]
    if ignored is not None:
        found += sources.copy_ignored_file(dockerfile, ignored)
    found += sources.undefined_var(dockerfile, environments or {})
    wanted = [finding for finding in found if finding.rule.name.lower() not in chosen.skip]
    return sorted(wanted, key=lambda finding: (finding.line.start, finding.rule.name))
