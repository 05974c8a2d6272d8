"""Everything that a step reads, by name: its key in the cache, and what has changed when it is not there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

import msgspec

from dockwright.archive import Fingerprints
from dockwright.oci import Digest
from dockwright.oci import digest as digests

# As many bytes of a file's fingerprint as tell two apart, also such as were made to be alike. People are told fewer.
_KEPT_BYTES = 16
_TOLD_DIGITS = 16


class Inputs(msgspec.Struct, dict=True):
    """`pairs` make the key; `files` are what stands behind digests among them, by the pair's name and the file's."""

    kind: str
    pairs: list[tuple[str, msgspec.Raw]] = []
    files: dict[str, dict[str, str]] = {}

    def add(self, name: str, value: object, fingerprints: Fingerprints | None = None) -> None:
        """One more input; `value` is JSON."""
        self.pairs.append((name, msgspec.Raw(msgspec.json.encode(value, order="deterministic"))))
        if fingerprints is not None:
            self.files[name] = {
                os.fsdecode(path): found[:_KEPT_BYTES].hex() for path, found in fingerprints.digests.items()
            }

    @cached_property
    def key(self) -> Digest:
        """The digest of kind and pairs."""
        return digests.of(msgspec.json.encode([self.kind, self.pairs]))


@dataclass(frozen=True)
class Difference:
    """The first input that is another than the last time: its name, what it was, what it is; empty where it was not there."""

    input: str
    before: str
    now: str

    def __str__(self) -> str:
        if not self.before:
            return f"{self.input} is new" + (f": {self.now}" if self.now else "")
        if not self.now:
            return f"{self.input} is gone"
        return f"{self.input} changed from {self.before} to {self.now}"


def difference(before: Inputs | None, now: Inputs) -> Difference:
    """What keeps `now` from being what `before` was."""
    if before is None:
        return Difference("the step", "", "it was not built before")
    if before.kind != now.kind:
        return Difference("the instruction", before.kind, now.kind)
    old = dict(before.pairs)
    for name, value in now.pairs:
        if name not in old:
            return Difference(name, "", _shown(value))
        if bytes(old[name]) != bytes(value):
            return _inside(name, before, now) or Difference(name, _shown(old[name]), _shown(value))
    names = {name for name, _ in now.pairs}
    gone = next((name for name, _ in before.pairs if name not in names), None)
    if gone is not None:
        return Difference(gone, _shown(old[gone]), "")
    return Difference("the cache", "the step's result", "none: it was pruned, or the cache was not asked")


def _inside(name: str, before: Inputs, now: Inputs) -> Difference | None:
    """Which file."""
    if name not in before.files or name not in now.files:
        return None
    old, new = before.files[name], now.files[name]
    for path in sorted({*old, *new}):
        if old.get(path) != new.get(path):
            was, now_is = old.get(path, "")[:_TOLD_DIGITS], new.get(path, "")[:_TOLD_DIGITS]
            return Difference(f"the file {path.rstrip('/')}", was, now_is)
    return None


def _shown(value: msgspec.Raw) -> str:
    found = msgspec.json.decode(value)
    if isinstance(found, str):
        return found
    if found is None:
        return "nothing"
    return bytes(value).decode()
