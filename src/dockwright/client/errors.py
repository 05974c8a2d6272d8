"""What the engine answered when it said no, as the project's error classes with the HTTP status beside the message."""

from __future__ import annotations

from dockwright import errors


class ProtocolError(errors.Unavailable):
    """The peer does not speak the Engine API, or stopped in the middle of a sentence."""


class CannotConnect(errors.Unavailable):
    """Nobody answers at the engine's address."""


class ResponseError(errors.DockwrightError):
    """The engine refused; `str()` is its message, `status` the HTTP status. Subclasses say what kind of no it is."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class InvalidRequest(ResponseError, errors.Invalid):
    """400."""


class Unauthorized(ResponseError, errors.Unauthorized):
    """401."""


class Forbidden(ResponseError, errors.Forbidden):
    """403."""


class NotFound(ResponseError, errors.NotFound):
    """404."""


class Conflict(ResponseError, errors.Conflict):
    """409."""


class NotModified(ResponseError, errors.NotModified):
    """304."""


class NotImplementedByEngine(ResponseError, errors.Unsupported):
    """501."""


class EngineUnavailable(ResponseError, errors.Unavailable):
    """503."""


class EngineFailure(ResponseError, errors.HostFailure):
    """500 and every other status of the engine's own making."""


_BY_STATUS: dict[int, type[ResponseError]] = {
    304: NotModified,
    400: InvalidRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    501: NotImplementedByEngine,
    503: EngineUnavailable,
}


def from_status(status: int, message: str) -> ResponseError:
    """The error for an answer with `status`: other 4xx are the caller's fault, other 5xx the engine's."""
    fallback = InvalidRequest if 400 <= status < 500 else EngineFailure
    return _BY_STATUS.get(status, fallback)(message, status)
