"""Byte ranges in headers: what a download holds, and how far an upload has come. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Nineteen digits are more bytes than there are, and int() of them is cheap.
_CONTENT = re.compile(r"bytes\s+(\d{1,19})-(\d{1,19})/(\d{1,19}|\*)", re.ASCII | re.I)
_RECEIVED = re.compile(r"(?:bytes=)?0-(\d{1,19})", re.ASCII)
_DIGITS = re.compile(r"\d{1,19}", re.ASCII)


@dataclass(frozen=True)
class ContentRange:
    """Bytes `start` to `end`, both included, of `total` (None: not told)."""

    start: int
    end: int
    total: int | None


def content_range(value: str) -> ContentRange | None:
    """A `Content-Range` (RFC 9110, 14.4); None when it is malformed."""
    match = _CONTENT.fullmatch(value.strip())
    if match is None or int(match[1]) > int(match[2]):
        return None
    return ContentRange(int(match[1]), int(match[2]), None if match[3] == "*" else int(match[3]))


def received_bytes(value: str) -> int | None:
    """How much of an upload has arrived, by its `Range: 0-N` (OCI distribution-spec 1.1, "Pushing a blob in chunks").

    None when malformed. `0-0` is read as nothing: registries say it of an upload that has just begun.
    """
    match = _RECEIVED.fullmatch(value.strip())
    if match is None:
        return None
    last = int(match[1])
    return last + 1 if last else 0


def length(value: str) -> int | None:
    """A `Content-Length` or another count; None when it is malformed or missing."""
    return int(value) if _DIGITS.fullmatch(value) else None
