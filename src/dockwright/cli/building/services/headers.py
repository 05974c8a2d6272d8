"""What a call says about itself, in its metadata."""

from __future__ import annotations

from typing import Any

from grpclib.server import Stream
from multidict import MultiDict


def headers(stream: Stream[Any, Any]) -> MultiDict[str]:
    """The metadata that is text."""
    found: MultiDict[str] = MultiDict()
    for key, value in (stream.metadata or MultiDict[str]()).items():
        if isinstance(value, str):
            found.add(key, value)
    return found
