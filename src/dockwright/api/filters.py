"""The `filters` query parameter: `{"status": ["running"], "label": ["a=b"]}`, or Docker's older map of maps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from dockwright.errors import Invalid
from dockwright.units import parse_time


class Filters:
    """Parsed filters. No filter of a name lets everything pass."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    @classmethod
    def parse(cls, text: str, allowed: Iterable[str]) -> Filters:
        """Raises `Invalid` with Docker's wording for bad JSON or a filter that the path does not know."""
        if not text:
            return cls({})
        try:
            document: Any = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise Invalid(f"invalid filter: {error}") from error
        if not isinstance(document, dict):
            raise Invalid("invalid filter: an object is expected")
        known = set(allowed)
        values: dict[str, list[str]] = {}
        for name, given in document.items():
            if name not in known:
                raise Invalid(f"invalid filter '{name}'")
            if isinstance(given, dict):
                given = [value for value, active in given.items() if active]
            if not isinstance(given, list) or not all(isinstance(value, str) for value in given):
                raise Invalid(f"invalid filter '{name}': a list of strings is expected")
            values[name] = given
        return cls(values)

    def get(self, name: str) -> list[str]:
        """The values of one filter."""
        return self._values.get(name, [])

    def any_of(self, name: str, present: set[str]) -> bool:
        """Whether one of the filter's values is among `present`."""
        wanted = self.get(name)
        return not wanted or not present.isdisjoint(wanted)

    def flag(self, name: str) -> bool | None:
        """A boolean filter. Raises `Invalid`."""
        wanted = self.get(name)
        if not wanted:
            return None
        if all(value in ("1", "true", "True") for value in wanted):
            return True
        if all(value in ("0", "false", "False") for value in wanted):
            return False
        raise Invalid(f"invalid filter '{name}={wanted}'")

    def labels(self, labels: Mapping[str, str], name: str = "label") -> bool:
        """Whether every `key` or `key=value` asked for is there."""
        return all(_has(labels, wanted) for wanted in self.get(name))

    def no_labels(self, labels: Mapping[str, str]) -> bool:
        """Whether none of the `label!` filters holds."""
        return not any(_has(labels, unwanted) for unwanted in self.get("label!"))


def pruning(text: str) -> Callable[[Mapping[str, str], int], bool]:
    """The filters of a prune by label and age: whether something with these labels, made at that time (ns), may go.

    Raises `Invalid` with Docker's wording.
    """
    filters = Filters.parse(text, ("until", "label", "label!"))
    until = filters.get("until")
    if len(until) > 1:
        raise Invalid("more than one until filter specified")
    before_ns = parse_time(until[0], time.time_ns()) if until else None

    def chosen(labels: Mapping[str, str], created_ns: int) -> bool:
        old = before_ns is None or created_ns < before_ns
        return old and filters.labels(labels) and filters.no_labels(labels)

    return chosen


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, found, value = wanted.partition("=")
    return key in labels and (not found or labels[key] == value)
