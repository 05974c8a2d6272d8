"""The one table from meaning to HTTP status."""

from __future__ import annotations

import msgspec
from aiohttp import web

from dockwright import errors

# The first match counts: subclasses before their bases.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (errors.NotModified, 304),
    (errors.Invalid, 400),
    (errors.StartFailed, 400),
    (errors.Unauthorized, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Unsupported, 501),
    (errors.Unavailable, 503),
    (errors.Corrupt, 500),
    (errors.HostFailure, 500),
)


def status(error: Exception) -> int:
    """The HTTP status of an error; 500 for one we did not foresee."""
    if isinstance(error, errors.StartFailed) and error.exit_code not in (126, 127):
        return 500
    return next((code for kind, code in _STATUS if isinstance(error, kind)), 500)


def response(error: Exception, code: int | None = None) -> web.Response:
    """Docker's error body, `{"message": …}`; 304 has none."""
    code = code or status(error)
    if code == 304:
        return web.Response(status=304)
    return web.Response(
        status=code, body=msgspec.json.encode({"message": str(error)}) + b"\n", content_type="application/json"
    )
