"""Which function answers which method and path."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from aiohttp import web

    from dockwright.api.call import Call

Handler = Callable[["Call"], Awaitable["web.StreamResponse"]]
_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


@dataclass(frozen=True)
class Route:
    """`pattern` as in the specification: `/containers/{id}/json`; `{name:path}` may hold slashes."""

    method: str
    pattern: str
    handler: Handler
    expression: re.Pattern[str]


class Router:
    """A table of routes, found by the first part of the path."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self._by_head: dict[str, list[Route]] = {}

    def add(self, method: str, pattern: str) -> Callable[[Handler], Handler]:
        """Decorator: this function answers `method pattern`."""

        def register(handler: Handler) -> Handler:
            expression = _PARAMETER.sub(lambda m: f"(?P<{m[1]}>{'.+' if m[2] else '[^/]+'})", pattern)
            route = Route(method, pattern, handler, re.compile(f"^{expression}$"))
            self.routes.append(route)
            self._by_head.setdefault(pattern.split("/")[1], []).append(route)
            return handler

        return register

    def include(self, other: Router) -> None:
        """Take over another table's routes."""
        for route in other.routes:
            self.add(route.method, route.pattern)(route.handler)

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
        """The route and its parameters; without one, whether the path exists with another method."""
        known = False
        parts = path.split("/", 2)
        for route in self._by_head.get(parts[1] if len(parts) > 1 else "", ()):
            match = route.expression.match(path)
            if match is None:
                continue
            if route.method == method:
                return route, {name: unquote(value) for name, value in match.groupdict().items()}, True
            # A name with slashes may be anything: it makes no path known.
            known = known or not any("/" in value for value in match.groupdict().values())
        return None, {}, known
