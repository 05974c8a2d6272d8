"""Signal names and numbers as Docker takes them: 9, KILL, SIGKILL, RTMIN+3."""

from __future__ import annotations

import re
import signal

from dockwright.errors import Invalid
from dockwright.units import natural

_RT = re.compile(r"^RT(MIN|MAX)(?:([+-])([0-9]{1,3}))?$")


def parse_signal(text: str) -> int:
    """The number of a signal. Raises `Invalid` with Docker's wording."""
    if (number := natural(text)) is not None:
        if 1 <= number <= signal.SIGRTMAX:
            return number
        raise Invalid(f"invalid signal: {text}")
    name = text.upper().removeprefix("SIG")
    if match := _RT.match(name):
        base = signal.SIGRTMIN if match[1] == "MIN" else signal.SIGRTMAX
        offset = int(match[3] or 0) * (-1 if match[2] == "-" else 1)
        if signal.SIGRTMIN <= base + offset <= signal.SIGRTMAX:
            return base + offset
    elif f"SIG{name}" in signal.Signals.__members__:
        return int(signal.Signals[f"SIG{name}"])
    raise Invalid(f"invalid signal: {text}")
