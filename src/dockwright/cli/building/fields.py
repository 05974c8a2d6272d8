"""`type=local,dest=out`: comma-separated pairs with CSV's quotes, as many of a build's options are written."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable

from dockwright import errors

_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


def split(text: str) -> list[str]:
    """The fields of one record of CSV. Raises `errors.Invalid`."""
    try:
        (row,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise errors.Invalid(f"cannot read {text!r} as comma-separated values") from None
    return row


def pairs(text: str, what: str) -> dict[str, str]:
    """Keys (in lower case) and values; raises `errors.Invalid` for a field without `=`."""
    found = {}
    for field in split(text):
        key, equals, value = field.partition("=")
        if not equals or not key:
            raise errors.Invalid(f"invalid {what} {text!r}: '{field}' must be a key=value pair")
        found[key.strip().lower()] = value
    return found


def switch(text: str, what: str) -> bool:
    """A boolean as Go reads it. Raises `errors.Invalid`."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise errors.Invalid(f"invalid value {text!r} for {what}: true or false is wanted")


def variables(given: Iterable[str], *, inherit: bool) -> dict[str, str]:
    """`NAME=VALUE`; with `inherit` a `NAME` alone is a variable of ours, left out where it is not set, else it is empty."""
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name:
            raise errors.Invalid(f'invalid key-value pair "{text}": empty key')
        if equals or not inherit:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
    return found
