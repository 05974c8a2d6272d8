"""What is wrong with a template, worded as Go does."""

from __future__ import annotations


class TemplateError(ValueError):
    """Base of both."""


class ParseError(TemplateError):
    """The text is no template."""

    def __init__(self, name: str, line: int, reason: str) -> None:
        super().__init__(f"template: {name}:{line}: {reason}")


class ExecutionError(TemplateError):
    """The template asks something of a value that the value does not have."""


class CallError(ValueError):
    """A function was given what it cannot work with; the executor adds where."""
