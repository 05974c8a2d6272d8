"""One request as a route sees it: parameters parsed, bodies decoded, answers encoded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from aiohttp import web

from dockwright.api import versions
from dockwright.errors import Invalid

if TYPE_CHECKING:
    from dockwright.api.server import Daemon
    from dockwright.engine import Engine

T = TypeVar("T")

BODY_LIMIT = 16 << 20
# Maps whose keys count even where the value is null: `{"80/tcp": null}`; all but PortBindings hold empty objects then.
_SETS = frozenset(("Volumes", "ExposedPorts", "EndpointsConfig"))
# One word may stand for a list of one: Docker's API takes both.
_WORDS = frozenset(("Cmd", "Entrypoint"))


class Call:
    """A request with the engine it is for."""

    def __init__(
        self, request: web.BaseRequest, daemon: Daemon, version: versions.Version, parameters: dict[str, str]
    ) -> None:
        self.request = request
        self.daemon = daemon
        self.version = version
        self.parameters = parameters

    @property
    def engine(self) -> Engine:
        return self.daemon.engine

    def __getitem__(self, name: str) -> str:
        return self.parameters[name]

    def text(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query.get(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean query parameter, by Docker's rule: anything but "", 0, no, false and none is true."""
        value = self.request.query.get(name)
        if value is None:
            return default
        return value.strip().lower() not in ("", "0", "no", "false", "none")

    def number(self, name: str) -> int | None:
        """An integer query parameter. Raises `Invalid`."""
        value = self.request.query.get(name)
        if value is None or value == "":
            return None
        try:
            return int(value)
        except ValueError:
            raise Invalid(f'invalid value for {name}: "{value[:64]}" is not a number') from None

    async def body(self) -> bytes:
        """The whole body. Raises `Invalid` past `BODY_LIMIT`."""
        parts, size = [], 0
        async for part in self.request.content.iter_any():
            size += len(part)
            if size > BODY_LIMIT:
                raise Invalid(f"request body too large: the limit is {BODY_LIMIT} bytes")
            parts.append(part)
        return b"".join(parts)

    async def json(self, kind: type[T]) -> T:
        """The body as `kind`. Raises `Invalid` with where and why it does not fit."""
        content = self.request.headers.get("Content-Type", "").partition(";")[0].strip()
        raw = await self.body()
        if raw and content not in ("application/json", "text/json"):
            raise Invalid(f"unsupported Content-Type header ({content or 'none'}): must be 'application/json'")
        return decode(raw, kind)

    async def optional_json(self, kind: type[T]) -> T:
        """The body as `kind`, or its defaults when there is none."""
        raw = await self.body()
        return decode(raw or b"{}", kind)

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives, with back-pressure."""
        return self.request.content.iter_any()

    def answer(self, value: object, status: int = 200) -> web.Response:
        """A JSON answer, with the fields of the asked version."""
        if self.version < versions.NEWEST:
            value = versions.gate(msgspec.to_builtins(value), self.version)
        return web.Response(status=status, body=msgspec.json.encode(value) + b"\n", content_type="application/json")

    def empty(self, status: int = 204) -> web.Response:
        """No body."""
        return web.Response(status=status)

    async def stream(self, content_type: str, headers: dict[str, str] | None = None) -> web.StreamResponse:
        """Begin an answer that is sent piece by piece."""
        response = web.StreamResponse(headers={"Content-Type": content_type, **(headers or {})})
        self.daemon.headers(response)
        await response.prepare(self.request)
        return response


def decode(raw: bytes, kind: type[T]) -> T:
    """Decode as Go's decoder would: null leaves a field at its default, unknown fields are ignored. Raises `Invalid`."""
    if not raw.strip():
        raise Invalid("invalid JSON: got EOF while reading request body")
    try:
        return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), kind, strict=True)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"invalid JSON: {error}") from error


def _without_nulls(value: Any, under: str = "") -> Any:
    if isinstance(value, dict):
        if under in _SETS:
            return {key: {} if item is None else _without_nulls(item) for key, item in value.items()}
        keep = under == "PortBindings"
        return {
            key: [item] if key in _WORDS and isinstance(item, str) else _without_nulls(item, key)
            for key, item in value.items()
            if keep or item is not None
        }
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
