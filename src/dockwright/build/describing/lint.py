"""`--call=lint`, which is `--check`: what the build checks find, and what keeps the Dockerfile from being built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dockwright.build.describing.outline import outline
from dockwright.build.describing.places import of_line, of_lines
from dockwright.build.dockerfile import Dockerfile, DockerfileError, checks
from dockwright.build.dockerfile.checks import Choice, Finding, Known
from dockwright.build.planning.plan import Options
from dockwright.errors import Invalid
from dockwright.excerpts import excerpt
from dockwright.ignoring import Patterns


def lint(
    dockerfile: Dockerfile,
    options: Options,
    ignored: Patterns | None = None,
    bases: Sequence[Known] = (),
) -> dict[str, Any]:
    """The findings and, where there is one, the error; `sources` is the caller's to fill in."""
    try:
        choice = Choice.of(dockerfile, options.arguments)
        found = checks.check(dockerfile, choice, ignored=ignored, bases=bases)
    except Invalid as error:
        return failed(error)
    result = {"warnings": [_warning(one) for one in found]}
    try:
        for stage in dockerfile.stages if not options.target else ():
            outline(dockerfile, Options(stage.name, options.arguments, platform=options.platform))
        outline(dockerfile, options)
    except Invalid as error:
        result |= failed(error) | {"warnings": result["warnings"]}
    return result


def failed(error: Invalid, text: bytes = b"") -> dict[str, Any]:
    """The result for a Dockerfile, `text`, that cannot be read: what is found before the mistake, and that."""
    if isinstance(error, DockerfileError):
        hint = f" ({error.hint})" if error.hint else ""
        return {
            "warnings": [_warning(one) for one in checks.check_before(text, error)] if text else [],
            "buildError": {"message": error.message + hint, "location": of_lines([error.span.line])},
        }
    return {"warnings": [], "buildError": {"message": str(error), "location": {}}}


def _warning(found: Finding) -> dict[str, Any]:
    return {
        "ruleName": found.rule.name,
        "description": found.rule.about,
        "url": found.rule.url,
        "detail": found.message,
        "location": of_line(found.line),
    }


def text(found: dict[str, Any], name: str, source: str) -> str:
    """For people: each finding with the lines it is about. `source` is the Dockerfile called `name`."""
    told = ""
    for one in found["warnings"]:
        marked = [place["start"]["line"] for place in one["location"]["ranges"]]
        page = f" - {one['url']}" if one["url"] else ""
        told += f"\nWARNING: {one['ruleName']}{page}\n{one['detail']}\n{excerpt(name, source, marked)}"
    return told
