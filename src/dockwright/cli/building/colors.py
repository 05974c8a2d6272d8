"""Colours of the progress in a terminal: none with NO_COLOR, others by BUILDKIT_COLORS (`run=green:error=255,0,0`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_CODES = {"default": "39"}
_CODES |= {name: str(30 + number) for number, name in enumerate(_NAMES)}
_CODES |= {f"light-{name}": str(90 + number) for number, name in enumerate(_NAMES)}
_RESET = "\x1b[0m"
_FAINT = "2"


@dataclass(frozen=True)
class Colors:
    """Codes of ECMA-48's "select graphic rendition"; empty for none. `run` are steps that are done."""

    run: str = ""
    cancel: str = ""
    error: str = ""
    warning: str = ""
    faint: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> tuple[Colors, list[str]]:
        """The colours, and what in BUILDKIT_COLORS cannot be understood."""
        colors = (
            cls()
            if environment.get("NO_COLOR")
            else cls(_CODES["blue"], _CODES["yellow"], _CODES["red"], _CODES["yellow"], _FAINT)
        )
        complaints = []
        for part in filter(None, environment.get("BUILDKIT_COLORS", "").split(":")):
            key, equals, value = part.partition("=")
            code = _code(value.strip('"'))
            if not equals or key.lower() not in ("run", "cancel", "error", "warning") or not code:
                complaints.append(f"BUILDKIT_COLORS: cannot understand {part!r}: run, cancel, error or warning=COLOUR")
                continue
            colors = replace(colors, **{key.lower(): code})
        return colors, complaints


def painted(text: str, code: str) -> str:
    """`text` in the colour that `code` stands for."""
    return f"\x1b[{code}m{text}{_RESET}" if code else text


def _code(value: str) -> str:
    parts = value.split(",")
    if len(parts) == 3:
        numbers = [int(part) for part in parts if part.isascii() and part.isdigit() and int(part) < 256]
        return f"38;2;{numbers[0]};{numbers[1]};{numbers[2]}" if len(numbers) == 3 else ""
    return _CODES.get(value.lower(), "")
