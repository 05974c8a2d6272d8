"""Which checks run, and whether what they find fails the build: `skip=NAME,NAME;experimental=NAME;error=true`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dockwright.build.dockerfile.checks.rule import Finding, Rule
from dockwright.build.dockerfile.errors import Span
from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.stages import Dockerfile
from dockwright.errors import Invalid

# The argument of a build that says it in the directive's stead.
ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"
_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


@dataclass(frozen=True)
class Choice:
    """Names are in lower case; `all` stands for every rule."""

    skip: frozenset[str] = frozenset()
    error: bool = False
    experimental: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Choice:
        """What a directive's value says. Raises `Invalid`."""
        names: dict[str, frozenset[str]] = {}
        error = False
        for part in filter(None, (part.strip() for part in text.split(";"))):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if name in ("skip", "experimental") and equals:
                names[name] = frozenset(one.strip().lower() for one in value.split(","))
            elif name == "error" and value.lower() in (*_TRUE, *_FALSE):
                error = value.lower() in _TRUE
            else:
                raise Invalid(f'invalid check option "{part}"')
        return cls(names.get("skip", frozenset()), error, names.get("experimental", frozenset()))

    @classmethod
    def of(cls, dockerfile: Dockerfile, arguments: Mapping[str, str] | None = None) -> Choice:
        """What the build's arguments say, else the file's own `check` directive. Raises `DockerfileError`, `Invalid`."""
        if arguments and ARGUMENT in arguments:
            return cls.parse(arguments[ARGUMENT])
        text, line = dockerfile.directives.get("check", ("", 1))
        try:
            return cls.parse(text)
        except Invalid as error:
            hint = "skip=NAME,NAME, experimental=NAME,NAME or error=true"
            raise dockerfile.source.error(str(error), Span(line, 1, 7), hint) from None

    def allows(self, finding: Finding) -> bool:
        """Whether the finding is wanted; a `# check=` comment right above the instruction may say more."""
        return self._beside(finding.line)._wants(finding.rule)

    def _wants(self, rule: Rule) -> bool:
        if rule.experimental and not self.experimental & {rule.name.lower(), "all"}:
            return False
        return not self.skip & {rule.name.lower(), "all"}

    def _beside(self, line: Line) -> Choice:
        for comment in line.comments:
            name, equals, value = comment.partition("=")
            if name.strip().lower() == "check" and equals and value.strip():
                try:
                    more = Choice.parse(value.strip().split(None, 1)[0])
                except Invalid:
                    return self  # a comment after all
                return Choice(self.skip | more.skip, self.error, self.experimental | more.experimental)
        return self
