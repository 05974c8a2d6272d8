"""Detach keys: a sequence typed at an attached terminal that leaves it. Parsing and matching, no I/O."""

from __future__ import annotations

from dockwright.errors import Invalid

DEFAULT = b"\x10\x11"  # ctrl-p,ctrl-q
_CONTROL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31} | {chr(97 + n): n + 1 for n in range(26)}


def parse(keys: str) -> bytes:
    """`ctrl-p,ctrl-q` or `a,b` to bytes; "" is the default. Raises `Invalid` with Docker's wording."""
    if not keys:
        return DEFAULT
    found = bytearray()
    for key in keys.split(","):
        if len(key) == 1 and key.isascii():
            found.append(ord(key))
        elif key.startswith("ctrl-") and key[5:].lower() in _CONTROL:
            found.append(_CONTROL[key[5:].lower()])
        else:
            raise Invalid(f"invalid detach keys ({keys}) provided: Unknown character: '{key}'")
    return bytes(found)


class Detector:
    """Feeds what is typed through; holds back the beginning of the sequence until it is clear."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on of `data`, and whether the sequence is complete (what follows it is dropped)."""
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                passed.append(byte)
        return bytes(passed), False
