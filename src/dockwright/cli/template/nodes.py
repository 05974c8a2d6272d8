"""What a template is made of. Every node knows where it stands (`at`) and how it was written (`str`)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Node:
    __slots__ = ("at",)

    def __init__(self, at: int) -> None:
        self.at = at


class Text(Node):
    __slots__ = ("text",)

    def __init__(self, at: int, text: str) -> None:
        super().__init__(at)
        self.text = text


class Literal(Node):
    """A constant; `raw` as it was written."""

    __slots__ = ("raw", "value")

    def __init__(self, at: int, value: Any, raw: str) -> None:
        super().__init__(at)
        self.value = value
        self.raw = raw

    def __str__(self) -> str:
        return self.raw


class Name(Node):
    """A function."""

    __slots__ = ("name",)

    def __init__(self, at: int, name: str) -> None:
        super().__init__(at)
        self.name = name

    def __str__(self) -> str:
        return self.name


class Chain(Node):
    """Fields of something: of the dot (`base` None), of a variable's name, or of a pipeline in parentheses."""

    __slots__ = ("base", "fields")

    def __init__(self, at: int, base: str | Pipeline | None, fields: list[str]) -> None:
        super().__init__(at)
        self.base = base
        self.fields = fields

    def __str__(self) -> str:
        fields = "".join(f".{name}" for name in self.fields)
        if isinstance(self.base, Pipeline):
            return f"({self.base}){fields}"
        return f"{self.base or ''}{fields}" or "."


class Command(Node):
    """A function or field with its arguments."""

    __slots__ = ("words",)

    def __init__(self, at: int, words: list[Node]) -> None:
        super().__init__(at)
        self.words = words

    def __str__(self) -> str:
        return " ".join(str(word) for word in self.words)


class Pipeline(Node):
    """Commands that feed each other; the outcome goes to `variables`, where there are any (`declares` or changes them)."""

    __slots__ = ("commands", "declares", "variables")

    def __init__(self, at: int, variables: list[str], declares: bool, commands: list[Command]) -> None:
        super().__init__(at)
        self.variables = variables
        self.declares = declares
        self.commands = commands

    def __str__(self) -> str:
        left = f"{', '.join(self.variables)} {':=' if self.declares else '='} " if self.variables else ""
        return left + " | ".join(str(command) for command in self.commands)


class Action(Node):
    __slots__ = ("pipeline",)

    def __init__(self, at: int, pipeline: Pipeline) -> None:
        super().__init__(at)
        self.pipeline = pipeline


class Branch(Node):
    """`if`, `with` or `range`."""

    __slots__ = ("body", "kind", "otherwise", "pipeline")

    def __init__(self, at: int, kind: str, pipeline: Pipeline, body: list[Node], otherwise: list[Node]) -> None:
        super().__init__(at)
        self.kind = kind
        self.pipeline = pipeline
        self.body = body
        self.otherwise = otherwise


class Call(Node):
    """`{{template "name" pipeline}}`."""

    __slots__ = ("name", "pipeline")

    def __init__(self, at: int, name: str, pipeline: Pipeline | None) -> None:
        super().__init__(at)
        self.name = name
        self.pipeline = pipeline

    def __str__(self) -> str:
        given = f" {self.pipeline}" if self.pipeline else ""
        return f'{{{{template "{self.name}"{given}}}}}'


class Jump(Node):
    """`break` or `continue`."""

    __slots__ = ("kind",)

    def __init__(self, at: int, kind: str) -> None:
        super().__init__(at)
        self.kind = kind
