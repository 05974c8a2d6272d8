"""The key sequence that leaves a container running and gives the terminal back."""

from __future__ import annotations

from dockwright.cli.command import ExitStatus

DEFAULT = "ctrl-p,ctrl-q"


def parse(text: str) -> bytes:
    """`ctrl-p,ctrl-q` as the bytes a terminal sends. Raises `ExitStatus` for a key that does not exist."""
    found = bytearray()
    for key in text.split(","):
        code = _code(key)
        if code is None:
            raise ExitStatus(1, f"invalid detach keys ({text}): Unknown character: '{key}'")
        found.append(code)
    return bytes(found)


def _code(key: str) -> int | None:
    if len(key) == 1 and key.isascii():
        return ord(key)
    letter = key.removeprefix("ctrl-").lower()
    if (
        key.startswith("ctrl-")
        and len(letter) == 1
        and ((letter.isascii() and letter.isalpha()) or letter in "@[\\]^_")
    ):
        return ord(letter.upper()) - 64
    return None


class Filter:
    """Passes typed bytes on until the sequence is complete; the start of a sequence is held back until it is decided."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._matched = 0
        self.detached = False

    def feed(self, data: bytes) -> bytes:
        """What goes to the container; `detached` turns true at the end of the sequence, and the rest is dropped."""
        passed = bytearray()
        for byte in data:
            if byte != self._sequence[self._matched]:
                passed += self._sequence[: self._matched]
                self._matched = 0
            if byte == self._sequence[self._matched]:
                self._matched += 1
            else:
                passed.append(byte)
            if self._matched == len(self._sequence):
                self.detached = True
                break
        return bytes(passed)
