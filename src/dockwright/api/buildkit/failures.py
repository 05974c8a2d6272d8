"""Why a build failed, as clients of BuildKit print it: the message, the lines of the Dockerfile, the vertex."""

from __future__ import annotations

from collections.abc import Sequence

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from dockwright.api.buildkit.board import Teller, Text
from dockwright.build import StepFailed
from dockwright.build.dockerfile import DockerfileError
from dockwright.buildkit import errors as wire
from dockwright.buildkit.errors import Detail
from dockwright.errors import DockwrightError


def of(error: DockwrightError, text: Text | None = None, teller: Teller | None = None) -> GRPCError:
    """`error` as the status of a call, with where in `text` it is and which step of `teller` failed."""
    details: list[Detail] = []
    failed = teller.failed if teller is not None else None
    if failed is not None and failed.step is not None:
        details.append(wire.vertex(failed.step.id))
    lines = failed.step.lines if failed is not None and failed.step is not None else (0, 0)
    message = str(error)
    if isinstance(error, StepFailed):
        message = error.process
        if error.image_id:
            details.append(wire.kept(error.image_id))
    if isinstance(error, DockerfileError):
        lines = (error.span.line, error.span.line)
        message = f"dockerfile parse error on line {error.span.line}: {error.message}"
        message += f" ({error.hint})" if error.hint else ""
    if text is not None and lines[0]:
        details.append(wire.source(text.filename, text.data, *lines))
    # Without a code that says more: clients print the code's name before the message.
    return GRPCError(Status.UNKNOWN, message, details or None)


def relayed(code: int, message: str, details: Sequence[Detail]) -> GRPCError:
    """An error that a client's build function returned."""
    try:
        status = Status(code)
    except ValueError:
        status = Status.UNKNOWN
    return GRPCError(status if status is not Status.OK else Status.UNKNOWN, message, list(details) or None)
