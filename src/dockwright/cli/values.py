"""Texts of the command line as values: numbers, sizes, durations and lists, with the messages people know from Docker.

Every converter takes a text and raises `ValueError` with the reason.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_TRUE = frozenset(("1", "t", "T", "true", "TRUE", "True"))
_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_DURATION_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SIZE_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def to_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def integer(bits: int, signed: bool) -> Callable[[str], int]:
    """A converter for Go's int and uint of a width; accepts 0x, 0o and 0b as Go does."""
    name = "ParseInt" if signed else "ParseUint"
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)

    def convert(text: str) -> int:
        digits = text[1:] if signed and text[:1] in ("+", "-") else text
        if not digits.isascii() or not digits[:1].isdigit() or "_" in digits:
            raise ValueError(f'strconv.{name}: parsing "{text}": invalid syntax')
        octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
        try:
            value = int(digits, 8 if octal else 0)
        except ValueError as error:
            raise ValueError(f'strconv.{name}: parsing "{text}": invalid syntax') from error
        value = -value if text[:1] == "-" else value
        if not low <= value <= high:
            raise ValueError(f'strconv.{name}: parsing "{text}": value out of range')
        return value

    return convert


def duration_ns(text: str) -> int:
    """A Go duration (`1h2m3.5s`) in nanoseconds."""
    rest, sign = text, 1
    if rest[:1] in ("+", "-"):
        sign = -1 if rest[0] == "-" else 1
        rest = rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    total = 0
    while rest:
        number = _leading(rest, "0123456789.")
        rest = rest[len(number) :]
        if not number.strip(".") or number.count(".") > 1:
            raise ValueError(f'time: invalid duration "{text}"')
        unit = _leading_until(rest, "0123456789.")
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _DURATION_UNITS_NS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        rest = rest[len(unit) :]
        whole, _, part = number.partition(".")
        scale = _DURATION_UNITS_NS[unit]
        total += int(whole or 0) * scale + (int(part) * scale // 10 ** len(part) if part else 0)
    return sign * total


def _leading(text: str, allowed: str) -> str:
    return text[: len(text) - len(text.lstrip(allowed))]


def _leading_until(text: str, stop: str) -> str:
    for at, letter in enumerate(text):
        if letter in stop:
            return text[:at]
    return text


def size_bytes(text: str) -> int:
    """`512m`, `1.5GiB`, `64` in bytes; units are powers of 1024."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(number) :].strip().lower()
    power = unit.removesuffix("b").removesuffix("i") if unit != "b" else ""
    if power not in _SIZE_POWERS or unit == "ib":
        raise ValueError(f"invalid size: '{text}'")
    whole, _, part = number.partition(".")
    if not whole.isdigit() or (part and not part.isdigit()):
        raise ValueError(f"invalid size: '{text}'")
    return int(float(number) * 1024 ** _SIZE_POWERS[power])


def memory_swap_bytes(text: str) -> int:
    """A size, or -1 for no limit."""
    return -1 if text == "-1" else size_bytes(text)


def nano_cpus(text: str) -> int:
    """A number of CPUs (`1.5`, `3/2`) in billionths."""
    from fractions import Fraction

    try:
        value = Fraction(text) * 10**9
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"failed to parse {text} as a rational number") from error
    if value.denominator != 1:
        raise ValueError("value is too precise")
    return int(value)


def filter_pair(text: str) -> tuple[str, str]:
    """`name=value` of `--filter`; the name in lower case."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError("bad format of filter (expected name=value)")
    return name.strip().lower(), value.strip()


def map_pair(text: str) -> tuple[str, str]:
    """`key=value`, or `key` alone for an empty value."""
    key, _, value = text.partition("=")
    return key, value


def comma_list(text: str) -> list[str]:
    return csv_fields(text)


def csv_fields(text: str) -> list[str]:
    """One line of comma-separated values, quoted as RFC 4180 has it."""
    if not text:
        return []
    if '"' not in text:
        return text.split(",")
    import csv

    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"parse error: {error}") from error


def string_map(text: str) -> list[tuple[str, str]]:
    """`key=value,key=value`."""
    pairs = []
    for field in csv_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            raise ValueError(f"{field} must be formatted as key=value")
        pairs.append((key, value))
    return pairs


CONVERTERS: dict[str, Callable[[str], Any]] = {
    "bool": to_bool,
    "int": integer(64, signed=True),
    "int64": integer(64, signed=True),
    "uint16": integer(16, signed=False),
    "uint64": integer(64, signed=False),
    "duration": duration_ns,
    "bytes": size_bytes,
    "decimal": nano_cpus,
    "filter": filter_pair,
    "map": map_pair,
    "stringSlice": comma_list,
    "stringToString": string_map,
}
