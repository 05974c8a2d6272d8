"""What a build check is: a name people can skip by, and a function from a Dockerfile to findings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.stages import Dockerfile


@dataclass(frozen=True)
class Finding:
    """Something that works and is likely not what was meant. `offset` points into the line's text."""

    rule: Rule
    line: Line
    message: str
    offset: int = 0


Check = Callable[[Dockerfile], Iterator[tuple[Line, str]]]


@dataclass(frozen=True)
class Rule:
    """`name` is the one of Docker's build checks, so that `# check=skip=...` and its pages fit."""

    name: str
    about: str
    check: Check
    experimental: bool = False

    @property
    def url(self) -> str:
        """Where the rule is explained."""
        return (
            "https://docs.docker.com/go/dockerfile/rule/"
            + re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", self.name).lower()
            + "/"
        )

    def findings(self, dockerfile: Dockerfile) -> Iterator[Finding]:
        """What the rule finds."""
        for line, message in self.check(dockerfile):
            yield Finding(self, line, message)
