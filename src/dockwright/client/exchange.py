"""What both faces share: how a call becomes a request of a version, and how an answer becomes a value or an error."""

from __future__ import annotations

from dockwright import __version__
from dockwright.client import http1, wirejson
from dockwright.client.errors import ResponseError, from_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from dockwright.client.call import Call
    from dockwright.client.endpoint import Endpoint

MAX_VERSION = "1.51"
"""The newest API version this client speaks."""
MIN_VERSION = "1.24"
"""Engines that do not tell their version are taken for this one."""

READ_BYTES = 128 * 1024


def version_key(version: str) -> tuple[int, ...]:
    """`1.41` as numbers that compare; anything else compares as oldest."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)


def negotiated(head: http1.Head) -> str:
    """The version to speak with an engine that answered `/_ping` with `head`: the lower of its newest and ours."""
    theirs = head.get("api-version") or MIN_VERSION
    return min(theirs, MAX_VERSION, key=version_key)


def host_header(endpoint: Endpoint) -> str:
    if endpoint.scheme != "tcp":
        return "docker"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def request_head(call: Call, endpoint: Endpoint, version: str, headers: Mapping[str, str]) -> bytes:
    """The head of `call` for an engine that speaks `version`, without a prefix when that is empty."""
    prefix = f"{endpoint.base_path}/v{version}" if version else endpoint.base_path
    fields = [("Host", host_header(endpoint)), ("User-Agent", f"dockwright/{__version__}")]
    fields += headers.items()
    fields += call.headers
    if call.hijack:
        fields += [("Connection", "Upgrade"), ("Upgrade", "tcp")]
    if isinstance(call.body, bytes):
        fields.append(("Content-Length", str(len(call.body))))
    elif call.body is not None:
        fields.append(("Transfer-Encoding", "chunked"))
    elif call.method in ("POST", "PUT"):
        fields.append(("Content-Length", "0"))
    return http1.encode_head(call.method, prefix + call.target, fields)


def is_error(head: http1.Head) -> bool:
    return head.status >= 400


def error_of(head: http1.Head, body: bytes) -> ResponseError:
    """The error an answer of status 400 and more carries; the body is `{"message": …}` or plain text."""
    message = ""
    try:
        value = wirejson.decode(body) if body else None
        if isinstance(value, dict):
            message = str(value.get("message", ""))
    except wirejson.NotJson:
        message = body.decode("utf-8", "replace").strip()
    message = message or f"the engine answered {head.status} {head.reason} without a reason"
    return from_status(head.status, message)
