"""What a build check is: a name people can skip by, and a function from a Dockerfile to findings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dockwright.build.dockerfile.lines import Line
from dockwright.build.dockerfile.stages import Dockerfile


@dataclass(frozen=True)
class Finding:
    """Something that works and is likely not what was meant."""

    rule: Rule
    line: Line
    message: str

    @property
    def short(self) -> str:
        """As the progress of a build tells it: rule, message and line."""
        return f"{self.rule.name}: {self.message} (line {self.line.start})"


Check = Callable[[Dockerfile], Iterator[tuple[Line, str]]]


@dataclass(frozen=True)
class Rule:
    """`name` is the one of Docker's build checks, so that `# check=skip=...` and its pages fit; so is `about`.

    An experimental rule is only followed where a Dockerfile or whoever builds asks for it. Without a `page`, nothing
    explains it.
    """

    name: str
    about: str
    check: Check
    experimental: bool = False
    page: bool = True

    @property
    def url(self) -> str:
        """Where the rule is explained; empty where it is nowhere."""
        if not self.page:
            return ""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", self.name).lower()
        return f"https://docs.docker.com/go/dockerfile/rule/{words}/"

    def findings(self, dockerfile: Dockerfile) -> Iterator[Finding]:
        """What the rule finds."""
        for line, message in self.check(dockerfile):
            yield Finding(self, line, message)


def keyword(line: Line) -> str:
    """The instruction's name as it was written."""
    return line.text.split(None, 1)[0]
