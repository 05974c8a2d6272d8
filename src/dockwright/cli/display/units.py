"""Sizes, times and shortened texts in the form Docker prints them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
SHORT_ID = 12


def _scaled(size: float, base: float, units: Sequence[str], precision: int) -> str:
    at = 0
    while size >= base and at < len(units) - 1:
        size /= base
        at += 1
    return f"{size:.{precision}g}{units[at]}"


def size(size_bytes: float, precision: int = 4) -> str:
    """`1.24MB`: powers of 1000."""
    return _scaled(float(size_bytes), 1000.0, _DECIMAL, precision)


def binary_size(size_bytes: float) -> str:
    """`1.185MiB`: powers of 1024."""
    return _scaled(float(size_bytes), 1024.0, _BINARY, 4)


def duration(seconds: float) -> str:
    """`About a minute`, `3 weeks`: roughly how long."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    return _long_duration(hours)


def _long_duration(hours: int) -> str:
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"


def since(epoch_s: float) -> str:
    """`5 minutes ago`."""
    from time import time

    return duration(time() - epoch_s) + " ago"


def clock(epoch_s: float) -> str:
    """`2026-01-02 15:04:05 +0100 CET`, in local time."""
    from time import localtime, strftime

    return strftime("%Y-%m-%d %H:%M:%S %z %Z", localtime(epoch_s))


def rfc3339(epoch_s: float) -> str:
    """`2026-01-02T15:04:05+01:00`, in local time."""
    from time import localtime, strftime

    text = strftime("%Y-%m-%dT%H:%M:%S%z", localtime(epoch_s))
    return text[:-5] + "Z" if text.endswith("+0000") else f"{text[:-2]}:{text[-2:]}"


def rfc3339_nano(epoch_ns: int) -> str:
    """`2026-01-02T15:04:05.000000001+01:00`, in local time, always nine digits."""
    seconds, nanoseconds = divmod(epoch_ns, 10**9)
    text = rfc3339(seconds)
    return f"{text[:19]}.{nanoseconds:09d}{text[19:]}"


def epoch(text: str) -> float:
    """An RFC 3339 time of the API as seconds since 1970; 0.0 for Go's zero time and what is no time at all."""
    from datetime import datetime

    stamp = text.replace("Z", "+00:00")
    whole, dot, rest = stamp.partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        stamp = f"{whole}.{digits[:6]:0<6}{rest[len(digits) :]}"
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return 0.0
    return 0.0 if moment.year <= 1 else moment.timestamp()


def short_id(text: str) -> str:
    """Twelve digits of an id, without its algorithm."""
    return text.partition(":")[2][:SHORT_ID] if ":" in text else text[:SHORT_ID]


def ellipsis(text: str, width: int) -> str:
    """`text` in at most `width` characters, the last a `…` where something was cut."""
    if len(text) <= width:
        return text
    return text[:1] if width <= 1 else text[: width - 1] + "…"


_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def quoted(text: str) -> str:
    """`text` as a Go string literal."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(letter) or _escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter.isprintable():
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
