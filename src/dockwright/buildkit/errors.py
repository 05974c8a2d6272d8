"""What a gRPC call that failed says: a status, a message, and details that clients print (`grpc-status-details-bin`).

BuildKit's details are JSON in a `google.protobuf.Any`, with a type URL of its own form.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import msgspec
from grpclib.const import Status
from grpclib.encoding.base import StatusDetailsCodecBase
from grpclib.exceptions import GRPCError

from dockwright import errors
from dockwright.buildkit.proto.status_pb2 import Status as StatusMessage

P = ParamSpec("P")
T = TypeVar("T")

# The form of containerd's typeurl package: the registered parts, then how it is written.
_ROOT = "github.com/moby/buildkit/errdefs."

_CODES: Sequence[tuple[type[errors.DockwrightError], Status]] = (
    (errors.NotFound, Status.NOT_FOUND),
    (errors.Unsupported, Status.UNIMPLEMENTED),
    (errors.Forbidden, Status.PERMISSION_DENIED),
    (errors.Unauthorized, Status.UNAUTHENTICATED),
)


@dataclass(frozen=True)
class Detail:
    """One detail: `url` names its type, `value` is the JSON."""

    url: str
    value: bytes


class DetailsCodec(StatusDetailsCodecBase):
    """Details as they are, without a registry of types."""

    def encode(self, status: Status, message: str | None, details: Any) -> bytes:
        packed = StatusMessage(code=status.value, message=message or "")
        for detail in details:
            packed.details.add(type_url=detail.url, value=detail.value)
        return packed.SerializeToString()

    def decode(self, status: Status, message: str | None, data: bytes) -> Any:
        return [Detail(one.type_url, one.value) for one in StatusMessage.FromString(data).details]


def source(filename: str, text: bytes, first_line: int, last_line: int) -> Detail:
    """Where in a Dockerfile it failed: clients show the lines."""
    place = {"start": {"line": first_line}, "end": {"line": last_line}}
    info = {"filename": filename, "data": base64.b64encode(text).decode(), "language": "Dockerfile"}
    return Detail(_ROOT + "Source+json", msgspec.json.encode({"info": info, "ranges": [place]}))


def vertex(digest: str) -> Detail:
    """Which step failed."""
    return Detail(_ROOT + "Vertex+json", msgspec.json.encode({"digest": digest}))


def kept(image: str) -> Detail:
    """The image that was kept of the step that failed: our own, other clients leave it aside."""
    return Detail("dockwright/errdefs.Kept+json", msgspec.json.encode({"image": image}))


def of(error: errors.DockwrightError, details: Sequence[Detail] = ()) -> GRPCError:
    """One of our errors as a status."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Status.UNKNOWN)
    return GRPCError(code, str(error), list(details) or None)


def answering(call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Decorator of a service's method: our errors, and the host's, become statuses."""

    @wraps(call)
    async def answer(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except errors.DockwrightError as error:
            raise of(error) from error
        except OSError as error:
            raise of(errors.HostFailure(str(error))) from error

    return answer
