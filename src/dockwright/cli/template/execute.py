"""A template and a value to text."""

from __future__ import annotations

from dockwright.cli.template import functions, nodes, printing
from dockwright.cli.template.errors import CallError, ExecutionError
from dockwright.cli.template.parser import Parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_MISSING = object()
_MAX_DEPTH = 1000
_NAMES = frozenset((*functions.FUNCTIONS, *functions.SHORT_CIRCUIT))


class Record:
    """A value with named fields, computed when asked for, and methods that take arguments."""

    def __init__(
        self,
        type_name: str,
        fields: Mapping[str, Callable[[], Any]],
        methods: Mapping[str, Callable[..., Any]] | None = None,
        hidden: Iterable[str] = (),
    ) -> None:
        self.type_name = type_name
        self.fields = fields
        self.methods = methods or {}
        self.hidden = frozenset(hidden)

    def as_json(self) -> dict[str, Any]:
        """All fields that are meant to be seen, by name in order."""
        return {name: self.fields[name]() for name in sorted(self.fields) if name not in self.hidden}


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Template:
    """A parsed template. Raises `ParseError` for a text that is none.

    `strict` makes a missing key of a map an error, else it prints as `<no value>`.
    """

    def __init__(self, text: str, *, name: str = "", strict: bool = False) -> None:
        self._name = name
        self._text = text
        self._strict = strict
        self._templates = Parser(name, text, _NAMES).parse()

    def render(self, value: Any, *, header: bool = False) -> str:
        """The text for `value`. Raises `ExecutionError`. `header` leaves titles as they are."""
        table = functions.HEADER_FUNCTIONS if header else functions.FUNCTIONS
        run = _Run(self._name, self._text, self._templates, table, self._strict)
        run.walk(self._templates[self._name], value, [{"$": value}])
        return "".join(run.out)


class _Run:
    def __init__(
        self,
        name: str,
        text: str,
        templates: Mapping[str, list[nodes.Node]],
        table: Mapping[str, functions.Function],
        strict: bool,
    ) -> None:
        self._name = name
        self._current = name
        self._text = text
        self._templates = templates
        self._functions = table
        self._strict = strict
        self._depth = 0
        self.out: list[str] = []

    def _error(self, node: nodes.Node, reason: str) -> ExecutionError:
        line = self._text.count("\n", 0, node.at) + 1
        column = node.at - (self._text.rfind("\n", 0, node.at) + 1)
        return ExecutionError(
            f'template: {self._name}:{line}:{column}: executing "{self._current}" at <{node}>: {reason}'
        )

    # statements

    def walk(self, body: Iterable[nodes.Node], dot: Any, scopes: list[dict[str, Any]]) -> None:
        for node in body:
            match node:
                case nodes.Text():
                    self.out.append(node.text)
                case nodes.Action():
                    self._action(node, dot, scopes)
                case nodes.Branch(kind="range"):
                    self._range(node, dot, scopes)
                case nodes.Branch():
                    self._branch(node, dot, [*scopes, {}])
                case nodes.Call():
                    self._call_template(node, dot, scopes)
                case nodes.Jump():
                    raise _Break if node.kind == "break" else _Continue

    def _branch(self, node: nodes.Branch, dot: Any, scopes: list[dict[str, Any]]) -> None:
        value = self._pipeline(node.pipeline, dot, scopes)
        if functions.truth(_known(value)):
            self.walk(node.body, value if node.kind == "with" else dot, scopes)
        else:
            self.walk(node.otherwise, dot, scopes)

    def _action(self, node: nodes.Action, dot: Any, scopes: list[dict[str, Any]]) -> None:
        value = self._pipeline(node.pipeline, dot, scopes)
        if not node.pipeline.variables:
            missing = value is _MISSING or value is None
            self.out.append("<no value>" if missing else printing.plain(_viewed(value)))

    def _range(self, node: nodes.Branch, dot: Any, scopes: list[dict[str, Any]]) -> None:
        names = node.pipeline.variables
        inner: list[dict[str, Any]] = [*scopes, {}]
        value = _known(self._pipeline(node.pipeline, dot, inner, assign=False))
        pairs = self._pairs(node, value)
        if not pairs:
            self.walk(node.otherwise, dot, inner)
            return
        for key, element in pairs:
            scope: dict[str, Any] = {}
            chosen = [element] if len(names) == 1 else [key, element]
            for name, one in zip(names, chosen, strict=False):
                if node.pipeline.declares:
                    scope[name] = one
                else:
                    self._assign(inner, name, one)
            try:
                self.walk(node.body, element, [*inner, scope])
            except _Continue:
                continue
            except _Break:
                break

    def _pairs(self, node: nodes.Branch, value: Any) -> list[tuple[Any, Any]]:
        if value is None or value is printing.NIL:
            return []
        if isinstance(value, dict):
            return [(key, value[key]) for key in sorted(value, key=str)]
        if isinstance(value, list | tuple):
            return list(enumerate(value))
        if isinstance(value, int) and not isinstance(value, bool):
            return [(number, number) for number in range(value)]
        raise self._error(node.pipeline, f"range can't iterate over {printing.plain(value)}")

    def _call_template(self, node: nodes.Call, dot: Any, scopes: list[dict[str, Any]]) -> None:
        body = self._templates.get(node.name)
        if body is None:
            raise self._error(node, f'template "{node.name}" not defined')
        if self._depth >= _MAX_DEPTH // 10:
            raise self._error(node, f"exceeded maximum template depth ({_MAX_DEPTH // 10})")
        value = self._pipeline(node.pipeline, dot, scopes) if node.pipeline else None
        self._depth += 1
        caller, self._current = self._current, node.name
        self.walk(body, value, [{"$": value}])
        self._current = caller
        self._depth -= 1

    # values

    def _pipeline(self, node: nodes.Pipeline, dot: Any, scopes: list[dict[str, Any]], *, assign: bool = True) -> Any:
        value: Any = _MISSING
        for at, command in enumerate(node.commands):
            value = self._command(command, dot, scopes, [_known(value)] if at else [])
        if assign:
            for name in node.variables:
                if node.declares:
                    scopes[-1][name] = value
                else:
                    self._assign(scopes, name, value)
        return value

    @staticmethod
    def _assign(scopes: list[dict[str, Any]], name: str, value: Any) -> None:
        for scope in reversed(scopes):
            if name in scope:
                scope[name] = value
                return

    def _command(self, node: nodes.Command, dot: Any, scopes: list[dict[str, Any]], piped: list[Any]) -> Any:
        first, *rest = node.words
        if isinstance(first, nodes.Name):
            return self._function(node, first.name, rest, dot, scopes, piped)
        if isinstance(first, nodes.Chain):
            arguments = [_known(self._operand(word, dot, scopes)) for word in rest] + piped
            return self._chain(first, dot, scopes, arguments)
        if piped:
            raise self._error(first, f"can't give argument to non-function {first}")
        if isinstance(first, nodes.Literal) and first.value is None:
            raise self._error(first, "nil is not a command")
        return self._operand(first, dot, scopes)

    def _function(
        self,
        node: nodes.Node,
        name: str,
        rest: list[nodes.Node],
        dot: Any,
        scopes: list[dict[str, Any]],
        piped: list[Any],
    ) -> Any:
        if name in functions.SHORT_CIRCUIT:
            return self._short_circuit(node, name, rest, dot, scopes, piped)
        arguments = [_known(self._operand(word, dot, scopes)) for word in rest] + piped
        function = self._functions[name]
        try:
            return function(*map(_viewed, arguments)) if name != "json" else function(*arguments)
        except CallError as error:
            raise self._error(node, f"error calling {name}: {error}") from error
        except TypeError as error:
            raise self._error(node, f"wrong number of args for {name}: got {len(arguments)}") from error

    def _short_circuit(
        self,
        node: nodes.Node,
        name: str,
        rest: list[nodes.Node],
        dot: Any,
        scopes: list[dict[str, Any]],
        piped: list[Any],
    ) -> Any:
        stop = name == "or"
        value: Any = _MISSING
        for word in rest:
            value = _known(self._operand(word, dot, scopes))
            if functions.truth(value) is stop:
                return value
        if piped:
            return piped[0]
        if value is _MISSING:
            raise self._error(node, f"wrong number of args for {name}: want at least 1 got 0")
        return value

    def _operand(self, node: nodes.Node, dot: Any, scopes: list[dict[str, Any]]) -> Any:
        if isinstance(node, nodes.Literal):
            return node.value
        if isinstance(node, nodes.Name):
            return self._function(node, node.name, [], dot, scopes, [])
        assert isinstance(node, nodes.Chain)
        return self._chain(node, dot, scopes, [])

    def _chain(self, node: nodes.Chain, dot: Any, scopes: list[dict[str, Any]], arguments: list[Any]) -> Any:
        if isinstance(node.base, nodes.Pipeline):
            value = self._pipeline(node.base, dot, scopes)
        elif node.base is None:
            value = dot
        else:
            value = next(scope[node.base] for scope in reversed(scopes) if node.base in scope)
        for at, name in enumerate(node.fields):
            last = at == len(node.fields) - 1
            value = self._field(node, value, name, arguments if last else [])
        if arguments and not node.fields:
            raise self._error(node, f"can't give argument to non-function {node}")
        return value

    def _field(self, node: nodes.Chain, value: Any, name: str, arguments: list[Any]) -> Any:
        if isinstance(value, Record):
            return self._record_field(node, value, name, arguments)
        if arguments:
            raise self._error(node, f"{name} is not a method but has arguments")
        if isinstance(value, dict):
            found = _lookup(value, name)
            if found is _MISSING and self._strict and not isinstance(value, printing.Mapping):
                raise self._error(node, f'map has no entry for key "{name}"')
            return found
        if value is _MISSING or value is None:
            raise self._error(node, f'nil data; no entry for key "{name}"')
        if value is printing.NIL:
            raise self._error(node, f"nil pointer evaluating {name}")
        raise self._error(node, f"can't evaluate field {name} in type {printing.type_name(value)}")

    def _record_field(self, node: nodes.Chain, record: Record, name: str, arguments: list[Any]) -> Any:
        method = record.methods.get(name)
        if method is not None:
            try:
                return method(*arguments)
            except TypeError as error:
                raise self._error(node, f"wrong number of args for {name}: want 1 got {len(arguments)}") from error
        field = record.fields.get(name)
        if field is None:
            raise self._error(node, f"can't evaluate field {name} in type {record.type_name}")
        if arguments:
            raise self._error(node, f"wrong number of args for {name}: want 0 got {len(arguments)}")
        return field()


def _known(value: Any) -> Any:
    return None if value is _MISSING else value


def _viewed(value: Any) -> Any:
    """A record among plain values is its fields."""
    return value.as_json() if isinstance(value, Record) else value


def _lookup(value: Mapping[str, Any], name: str) -> Any:
    """The entry `name`; Go's spelling of a field (`ID`) finds JSON's (`Id`) where that is not ambiguous."""
    if name in value:
        return value[name]
    folded = name.lower()
    similar = [key for key in value if isinstance(key, str) and key.lower() == folded]
    return value[similar[0]] if len(similar) == 1 else _MISSING
