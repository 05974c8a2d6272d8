"""Values as Go prints them."""

from __future__ import annotations

from dockwright.cli.display import units
from dockwright.cli.template.errors import CallError
from dockwright.client import wirejson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


class NilList(list[object]):
    """A list that JSON has as null: empty to look at, null to print as JSON."""


class NilMap(dict[str, object]):
    """A map that JSON has as null."""


class Mapping(dict[str, object]):
    """A Go map, as against a struct: asking for a key that is not there is no error. `zero` is what `index` gives then."""

    def __init__(self, values: dict[str, object], zero: object) -> None:
        super().__init__(values)
        self.zero = zero


class Struct(dict[str, object]):
    """A Go struct. `assumed` are fields that JSON leaves out when they are empty: there for a template, not for JSON."""

    def __init__(self, values: dict[str, object], assumed: dict[str, object]) -> None:
        super().__init__({**values, **{key: one for key, one in assumed.items() if key not in values}})
        self.assumed = frozenset(assumed) - frozenset(values)


class NilPointer:
    """A pointer that points nowhere: false, `<nil>`, and without fields."""

    def __bool__(self) -> bool:
        return False


NIL = NilPointer()


def plain(value: Any) -> str:
    """`%v`."""
    if isinstance(value, str):
        return value
    if value is None or value is NIL:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Struct):
        return "{" + " ".join(plain(one) for one in value.values()) + "}"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{plain(key)}:{plain(value[key])}' for key in sorted(value, key=str))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(plain(one) for one in value)}]"
    return str(value)


def _float(value: float) -> str:
    """Shortest digits that read back the same, with an exponent from 1e21 on."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}[str(value)]
    digits = repr(value)
    if 1e-4 <= abs(value) < 1e21 or value == 0:
        return str(int(value)) if value == int(value) else (f"{value:f}" if "e" in digits else digits)
    mantissa, _, exponent = f"{value:e}".partition("e") if "e" not in digits else digits.partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{exponent[0] if exponent[0] in '+-' else '+'}{exponent.lstrip('+-'):0>2}"


def printed(values: Sequence[Any]) -> str:
    """`print`: a blank between two values neither of which is text."""
    text = ""
    for at, value in enumerate(values):
        if at and not isinstance(value, str) and not isinstance(values[at - 1], str):
            text += " "
        text += plain(value)
    return text


def to_json(value: Any) -> str:
    """As Go's encoder writes it: null where something was null; a record's own texts escaped for HTML, as Docker's are."""
    text = wirejson.encode(_with_nulls(value))
    return escape_html(text) if hasattr(value, "as_json") else text


def escape_html(text: str) -> str:
    """JSON text with the characters that mean something in HTML as escapes."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _with_nulls(value: Any) -> Any:
    if isinstance(value, NilList | NilMap | NilPointer):
        return None
    if isinstance(value, Struct):
        return {key: _with_nulls(one) for key, one in value.items() if key not in value.assumed}
    if isinstance(value, dict):
        return {str(key): _with_nulls(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_with_nulls(one) for one in value]
    as_json = getattr(value, "as_json", None)
    return _with_nulls(as_json()) if as_json is not None else value


def formatted(pattern: str, values: Sequence[Any]) -> str:
    """`printf`: flags, width, precision and the verbs v s q d x X o b c U t f F e g and %."""
    out, rest, at = [], list(values), 0
    used = 0
    while at < len(pattern):
        start = pattern.find("%", at)
        if start < 0:
            out.append(pattern[at:])
            break
        out.append(pattern[at:start])
        verb_at = start + 1
        while verb_at < len(pattern) and pattern[verb_at] in "+-# 0123456789.*":
            verb_at += 1
        if verb_at >= len(pattern):
            out.append("%!(NOVERB)")
            break
        flags, verb = pattern[start + 1 : verb_at], pattern[verb_at]
        at = verb_at + 1
        if verb == "%":
            out.append("%")
            continue
        while "*" in flags and used < len(rest):
            flags = flags.replace("*", str(rest[used]), 1)
            used += 1
        if used >= len(rest):
            out.append(f"%!{verb}(MISSING)")
            continue
        out.append(_verb(flags, verb, rest[used]))
        used += 1
    if used < len(rest):
        extra = ", ".join(f"{_type_name(value)}={plain(value)}" for value in rest[used:])
        out.append(f"%!(EXTRA {extra})")
    return "".join(out)


def _verb(flags: str, verb: str, value: Any) -> str:
    marks = flags[: len(flags) - len(flags.lstrip("+-# 0"))]
    width, _, precision = flags[len(marks) :].partition(".")
    text = _converted(marks, verb, value, precision if "." in flags else None)
    if text is None:
        return f"%!{verb}({_type_name(value)}={plain(value)})"
    size = int(width or 0)
    if "-" in marks:
        return text.ljust(size)
    if "0" in marks and verb not in "sqv":
        sign = text[0] if text[:1] in ("+", "-") else ""
        return sign + text[len(sign) :].rjust(size - len(sign), "0")
    return text.rjust(size)


def _converted(marks: str, verb: str, value: Any, precision: str | None) -> str | None:
    if (verb in "vs" and not isinstance(value, bool | int | float)) or verb == "v":
        text = units.quoted(value) if "#" in marks and isinstance(value, str) else plain(value)
        return text if precision is None or verb == "v" else text[: int(precision or 0)]
    if verb == "q":
        return units.quoted(plain(value)) if not isinstance(value, int) else f"'{chr(value)}'"
    if verb == "t":
        return plain(value) if isinstance(value, bool) else None
    if verb in "xX" and isinstance(value, str):
        text = value.encode("utf-8", "surrogateescape").hex()
        return text.upper() if verb == "X" else text
    if isinstance(value, bool):
        return None
    if verb in "dxXobcU" and isinstance(value, int):
        return _integer(marks, verb, value)
    if verb in "feEgGF" and isinstance(value, float):
        return (
            ("+" if "+" in marks and value >= 0 else "")
            + f"{value:.{precision or (0 if precision == '' else 6)}{verb}}"
            if (verb not in "gG" or precision)
            else _float(value)
        )
    return None


def _integer(marks: str, verb: str, value: int) -> str:
    if verb == "c":
        return chr(value)
    if verb == "U":
        return f"U+{value:04X}"
    sign = "+" if "+" in marks and value >= 0 else " " if " " in marks and value >= 0 else ""
    prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in marks else ""
    digits = format(abs(value), verb)
    return ("-" if value < 0 else sign) + prefix + digits


def _type_name(value: Any) -> str:
    names = {bool: "bool", int: "int", float: "float64", str: "string", type(None): "<nil>"}
    if isinstance(value, dict):
        return "map[string]interface {}"
    if isinstance(value, list):
        return "[]interface {}"
    return names.get(type(value), type(value).__name__)


def type_name(value: Any) -> str:
    """What Go would call the type of a value that came out of JSON."""
    return _type_name(value)


def need_text(value: Any, what: str) -> str:
    """`value` if it is text. Raises `CallError`."""
    if not isinstance(value, str):
        raise CallError(f"wrong type for value; expected string; got {_type_name(value)}" if what else "not a string")
    return value
