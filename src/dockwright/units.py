"""Times, durations and sizes as the Engine API writes them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dockwright.errors import Invalid

NEVER = "0001-01-01T00:00:00Z"
_SECOND_NS = 1_000_000_000
_GO_UNITS_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": _SECOND_NS}
_GO_UNITS_NS |= {"m": 60 * _SECOND_NS, "h": 3600 * _SECOND_NS}
_GO_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_NUMBER = re.compile(r"^(\d{1,12})(?:\.(\d{1,18}))?$")
_SIZE = re.compile(r"^(\d{1,15}(?:\.\d{1,9})?) ?([kmgtpKMGTP]?)(?:(?<=[kmgtpKMGTP])i?)?[bB]?$")
_DATE = re.compile(r"^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}(?::\d{2}(?::\d{2})?)?)(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:?\d{2})?$")


def natural(text: str) -> int | None:
    """A whole number written in ASCII digits, up to eighteen of them; None for anything else (`str.isdigit` takes ² too)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def rfc3339(time_ns: int) -> str:
    """Nanoseconds since 1970 as RFC 3339 in UTC with the nanoseconds that matter; 0 is Go's zero time."""
    if not time_ns:
        return NEVER
    seconds, fraction = divmod(time_ns, _SECOND_NS)
    base = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    tail = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{base}{tail}Z"


def parse_duration(text: str) -> int:
    """A Go duration (`1h30m`, `1.5s`, `-10ms`) in nanoseconds. Raises `Invalid`."""
    body = text.removeprefix("-").removeprefix("+")
    if body == "0":
        return 0
    parts = _GO_PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise Invalid(f'time: invalid duration "{text}"')
    total = sum(_scaled(number, _GO_UNITS_NS[unit]) for number, unit in parts)
    return -total if text.startswith("-") else total


def parse_size(text: str) -> int:
    """A size as flags write it (`512m`, `1.5GiB`, `64`), in bytes; units are powers of 1024. Raises `Invalid`."""
    match = _SIZE.match(text)
    if match is None:
        raise Invalid(f"invalid size: '{text}'")
    return int(float(match[1]) * float(1024 ** " kmgtp".index(match[2].lower() or " ")))


def parse_time(text: str, now_ns: int) -> int:
    """A Unix time (`1700000000.5`), an RFC 3339 or shorter date (UTC), or a duration before `now_ns`, in nanoseconds.

    Raises `Invalid`.
    """
    if match := _NUMBER.match(text):
        return int(match[1]) * _SECOND_NS + int((match[2] or "0").ljust(9, "0")[:9])
    if match := _DATE.match(text):
        return _date(match, text)
    try:
        return now_ns - parse_duration(text)
    except Invalid:
        raise Invalid(f'failed to parse value as time or duration: "{text}"') from None


def ago(duration_s: float) -> str:
    """Docker's words for a span of time: `Less than a second`, `About a minute`, `3 hours`."""
    seconds = int(duration_s)
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes = seconds // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(duration_s / 3600 + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, size, name in ((24 * 14, 24, "days"), (24 * 30 * 2, 24 * 7, "weeks"), (24 * 365 * 2, 24 * 30, "months")):
        if hours < limit:
            return f"{hours // size} {name}"
    return f"{int(duration_s / 3600 / 24 / 365)} years"


def _scaled(number: str, unit_ns: int) -> int:
    whole, _, fraction = number.partition(".")
    return int(whole or "0") * unit_ns + (int(fraction) * unit_ns // 10 ** len(fraction) if fraction else 0)


def _date(match: re.Match[str], text: str) -> int:
    clock = match[2] or "00"
    padded = clock + ":00" * (2 - clock.count(":"))
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{padded}{(match[4] or 'Z').replace('Z', '+00:00')}")
    except ValueError as error:
        raise Invalid(f'failed to parse value as time or duration: "{text}"') from error
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * _SECOND_NS + int((match[3] or "0").ljust(9, "0"))
