"""The latest time that files of a build have: `SOURCE_DATE_EPOCH`, else when the base image of their stage was made.

The same inputs give the same layers then, whatever else is built of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dockwright.errors import Invalid
from dockwright.image import Image
from dockwright.units import parse_time

ARGUMENT = "SOURCE_DATE_EPOCH"
# Of files that stand on no image, where nobody says a time: the oldest that zip archives can hold.
FIRST_NS = 315_532_800 * 10**9


def given(arguments: Mapping[str, str], default: str = "") -> int | None:
    """What whoever builds says, else the Dockerfile's `default`. Raises `Invalid`."""
    text = arguments.get(ARGUMENT, default)
    return parsed(text) if text else None


def parsed(text: str) -> int:
    """Seconds since 1970, as nanoseconds. Raises `Invalid`."""
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise Invalid(f"invalid SOURCE_DATE_EPOCH {text!r}: seconds since 1970 are wanted")
    return int(text) * 10**9


def of_image(image: Image | None) -> int:
    """When `image` was made; `FIRST_NS` for none, and for one that does not say."""
    created = image.config.created if image is not None else None
    try:
        return max(FIRST_NS, parse_time(created, 0)) if created else FIRST_NS
    except Invalid:
        return FIRST_NS
