"""`--since` and `--until`: an RFC 3339 time, seconds since 1970, or how long ago, as the number the API reads."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli import values


def epoch_text(text: str, option: str) -> str:
    """`42m`, `2026-01-02T13:23:37Z`, `2026-01-02`, `1136073600.5` as seconds since 1970. Raises `errors.Invalid`."""
    try:
        ago_ns = values.duration_ns(text)
    except ValueError:
        return _absolute(text, option)
    from time import time_ns

    moment = time_ns() - ago_ns
    return f"{moment // 10**9}.{moment % 10**9:09d}"


def _absolute(text: str, option: str) -> str:
    if text.replace(".", "", 1).removeprefix("-").isdigit():
        return text
    from datetime import datetime

    stamp, fraction, rest = text, "", ""
    if "." in text:
        stamp, _, tail = text.partition(".")
        digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
        fraction, rest = digits[:9].ljust(9, "0"), tail[len(digits) :]
    try:
        moment = datetime.fromisoformat((stamp + rest).replace("Z", "+00:00"))
    except ValueError as error:
        raise errors.Invalid(
            f'invalid value for "{option}": failed to parse value as time or duration: "{text}"'
        ) from error
    return f"{int(moment.timestamp())}.{fraction or '000000000'}"
