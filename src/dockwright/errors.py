"""What can go wrong, by meaning: a dozen classes, no HTTP in them.

    DockwrightError
    ├── Invalid            the caller's input is wrong
    ├── NotFound           the thing named does not exist
    ├── Conflict           the thing exists already, or its state does not allow this
    │   └── InUse          something else still needs it
    ├── NotModified        it is already so
    ├── Unauthorized       who are you?
    ├── Forbidden          you may not
    ├── Unsupported        this host, kernel or build cannot do that
    ├── Unavailable        not now: starting, stopping, or a peer is out of reach
    ├── StartFailed        the container's process could not be started (exit codes 125-127)
    ├── Corrupt            stored or received data is not what its digest or format says
    └── HostFailure        the kernel or a helper program failed us

Messages are lower case, without a full stop, name what they are about (a path, a reference, a flag) and never
hold a secret. `api.errors` gives each class its status.
"""

from __future__ import annotations


class DockwrightError(Exception):
    """Base of every error this project raises on purpose; `str()` of it is the message for a person."""


class Invalid(DockwrightError):
    """The caller's input is wrong; nothing was changed."""


class NotFound(DockwrightError):
    """The thing named does not exist."""


class Conflict(DockwrightError):
    """The thing exists already, or its state does not allow this."""


class InUse(Conflict):
    """Something else still needs the thing that was to go."""


class NotModified(DockwrightError):
    """It is already so; nothing was done."""


class Unauthorized(DockwrightError):
    """The caller did not say who it is, or not believably."""


class Forbidden(DockwrightError):
    """The caller may not do this."""


class Unsupported(DockwrightError):
    """This host, kernel or build cannot do what was asked; the message says what is missing."""


class Unavailable(DockwrightError):
    """Not now: the engine is starting or stopping, or a peer is out of reach."""


class StartFailed(DockwrightError):
    """The container's process could not be started.

    `exit_code` follows Docker: 127 command not found, 126 not executable, 125 everything else.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Corrupt(DockwrightError):
    """Stored or received data is not what its digest or format says."""


class HostFailure(DockwrightError):
    """The kernel or a helper program failed us."""
