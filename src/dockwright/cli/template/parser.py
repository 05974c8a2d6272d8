"""Tokens to nodes."""

from __future__ import annotations

from dockwright.cli.template import nodes
from dockwright.cli.template.errors import ParseError
from dockwright.cli.template.lexer import Lexer, Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

_END = Token("end", "", -1)
_CONSTANTS = {"true": True, "false": False, "nil": None}


class Parser:
    """One template text. `templates` collects what `define` and `block` name; the text itself is under `name`."""

    def __init__(self, name: str, text: str, functions: Collection[str]) -> None:
        self._name = name
        self._lexer = Lexer(name, text)
        self._functions = functions
        self._source = self._lexer.tokens()
        self._tokens: list[Token] = []
        self._next = 0
        self._loops = 0
        self._scopes: list[set[str]] = [{"$"}]
        self.templates: dict[str, list[nodes.Node]] = {}

    def parse(self) -> dict[str, list[nodes.Node]]:
        """Raises `ParseError`."""
        body, stop = self._list(())
        if stop:
            raise self._error(self._tokens[self._next - 1], f"unexpected {{{{{stop}}}}}")
        self.templates[self._name] = body
        return self.templates

    # tokens

    def _peek(self) -> Token:
        while self._peek_exact().kind == "space":
            self._next += 1
        return self._peek_exact()

    def _peek_exact(self) -> Token:
        """Tokens are made when they are looked at: the first mistake in the text is the one that is told."""
        while self._next >= len(self._tokens):
            token = next(self._source, None)
            if token is None:
                return _END
            self._tokens.append(token)
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _error(self, token: Token, reason: str) -> ParseError:
        return self._lexer.error(token.at if token.at >= 0 else 1 << 60, reason)

    def _close(self, context: str) -> None:
        token = self._take()
        if token.kind != "close":
            raise self._error(token, f"unexpected {_shown(token)} in {context}")

    # statements

    def _list(self, stops: Collection[str]) -> tuple[list[nodes.Node], str]:
        """Nodes until one of the words `stops`, which is taken; the word, or empty at the end of the text."""
        body: list[nodes.Node] = []
        while True:
            token = self._take()
            if token is _END or token.kind == "end":
                return body, ""
            if token.kind == "text":
                body.append(nodes.Text(token.at, token.value))
                continue
            word = self._peek()
            if word.kind == "word" and word.value in ("end", "else"):
                self._next += 1
                if word.value not in stops:
                    raise self._error(word, f"unexpected {{{{{word.value}}}}}")
                return body, word.value
            node = self._statement(word)
            if node is not None:
                body.append(node)

    def _statement(self, word: Token) -> nodes.Node | None:
        if word.kind == "word" and word.value in ("if", "range", "with"):
            self._next += 1
            return self._branch(word)
        if word.kind == "word" and word.value in ("define", "block"):
            self._next += 1
            return self._define(word)
        if word.kind == "word" and word.value == "template":
            self._next += 1
            return self._template(word)
        if word.kind == "word" and word.value in ("break", "continue"):
            self._next += 1
            if not self._loops:
                raise self._error(word, f"{{{{{word.value}}}}} outside {{{{range}}}}")
            self._close(word.value)
            return nodes.Jump(word.at, word.value)
        pipeline = self._pipeline("command")
        self._close("command")
        return nodes.Action(word.at, pipeline)

    def _branch(self, word: Token) -> nodes.Branch:
        self._scopes.append(set())
        pipeline = self._pipeline(word.value, ranged=word.value == "range")
        self._close(word.value)
        self._loops += word.value == "range"
        body, stop = self._list(("end", "else"))
        self._loops -= word.value == "range"
        otherwise: list[nodes.Node] = []
        if stop == "else":
            following = self._peek()
            if following.kind == "word" and following.value in ("if", "with") and word.value == following.value:
                self._next += 1
                otherwise = [self._branch(following)]
                self._scopes.pop()
                return nodes.Branch(word.at, word.value, pipeline, body, otherwise)
            self._close("else")
            otherwise, stop = self._list(("end",))
        if stop != "end":
            raise self._error(_END, "unexpected EOF")
        self._close("end")
        self._scopes.pop()
        return nodes.Branch(word.at, word.value, pipeline, body, otherwise)

    def _define(self, word: Token) -> nodes.Node | None:
        name = self._take()
        if name.kind != "string":
            raise self._error(name, f"unexpected {_shown(name)} in {word.value} clause")
        pipeline = self._pipeline("block clause") if word.value == "block" else None
        self._close(f"{word.value} clause")
        outer, self._scopes = self._scopes, [{"$"}]
        body, stop = self._list(("end",))
        self._scopes = outer
        if stop != "end":
            raise self._error(_END, "unexpected EOF")
        self._close("end")
        self.templates[name.value] = body
        return nodes.Call(word.at, name.value, pipeline) if word.value == "block" else None

    def _template(self, word: Token) -> nodes.Call:
        name = self._take()
        if name.kind != "string":
            raise self._error(name, f"unexpected {_shown(name)} in template clause")
        pipeline = None if self._peek().kind == "close" else self._pipeline("template clause")
        self._close("template clause")
        return nodes.Call(word.at, name.value, pipeline)

    # pipelines

    def _pipeline(self, context: str, *, ranged: bool = False) -> nodes.Pipeline:
        start = self._peek()
        variables, declares = self._declaration(ranged)
        commands: list[nodes.Command] = []
        while True:
            commands.append(self._command(context))
            token = self._peek()
            if token.kind != "|":
                break
            self._next += 1
        if declares:
            self._scopes[-1].update(variables)
        return nodes.Pipeline(start.at, variables, declares, commands)

    def _declaration(self, ranged: bool) -> tuple[list[str], bool]:
        """`$x :=`, `$x =`, and with `range` also `$i, $x :=`."""
        mark = self._next
        names: list[str] = []
        while (token := self._take()).kind == "variable":
            names.append(token.value)
            separator = self._take()
            if separator.kind in (":=", "="):
                if separator.kind == "=":
                    for name in names:
                        self._check_variable(name, token)
                return names, separator.kind == ":="
            if not (separator.kind == "," and ranged and len(names) < 2):
                break
        self._next = mark
        return [], False

    def _command(self, context: str) -> nodes.Command:
        words: list[nodes.Node] = []
        start = self._peek()
        while True:
            token = self._peek()
            if token.kind in ("close", "|", ")", "end"):
                break
            words.append(self._operand(context))
            following = self._peek_exact()
            if following.kind not in ("space", "close", "|", ")"):
                raise self._error(following, f"unexpected {_shown(following)} in operand")
        if not words:
            if self._peek() is _END:
                raise self._error(_END, "unclosed action")
            raise self._error(start, f"missing value for {context}")
        first = words[0]
        if len(words) > 1 and isinstance(first, nodes.Literal):
            raise self._error(start, f"can't give argument to non-function {first}")
        return nodes.Command(start.at, words)

    def _operand(self, context: str) -> nodes.Node:
        token = self._take()
        if token.kind == "(":
            inner = self._pipeline("parenthesized pipeline")
            closing = self._take()
            if closing.kind != ")":
                raise self._error(closing, f"unexpected {_shown(closing)} in parenthesized pipeline")
            return self._chain(token, inner, [])
        if token.kind == "field":
            return self._chain(token, None, [token.value])
        if token.kind == "dot":
            return nodes.Chain(token.at, None, [])
        if token.kind == "variable":
            self._check_variable(token.value, token)
            return self._chain(token, token.value, [])
        if token.kind in ("string", "char"):
            value = ord(token.value) if token.kind == "char" else token.value
            return nodes.Literal(token.at, value, token.raw)
        if token.kind == "number":
            return nodes.Literal(token.at, self._number(token), token.raw)
        if token.kind == "word" and token.value in _CONSTANTS:
            return nodes.Literal(token.at, _CONSTANTS[token.value], token.raw)
        if token.kind == "word":
            if token.value not in self._functions:
                raise self._error(token, f'function "{token.value}" not defined')
            return nodes.Name(token.at, token.value)
        raise self._error(token, f"unexpected {_shown(token)} in {context}")

    def _chain(self, start: Token, base: str | nodes.Pipeline | None, fields: list[str]) -> nodes.Chain:
        """As Go, a chain stands where its second link does: messages point there."""
        following = self._peek_exact()
        at = following.at if following.kind == "field" else start.at
        while self._peek_exact().kind == "field":
            fields.append(self._take().value)
        return nodes.Chain(at, base, fields)

    def _check_variable(self, name: str, token: Token) -> None:
        if not any(name in scope for scope in self._scopes):
            raise self._error(token, f'undefined variable "{name}"')

    def _number(self, token: Token) -> int | float:
        try:
            return int(token.value, 0)
        except ValueError:
            pass
        try:
            return float(token.value)
        except ValueError as error:
            raise self._error(token, f'bad number syntax: "{token.value}"') from error


def _shown(token: Token) -> str:
    if token.kind == "end":
        return "EOF"
    if token.kind == "close":
        return '"}}"'
    return f"<{token.raw}>" if token.kind in ("field", "dot", "variable") else f'"{token.raw}"'
