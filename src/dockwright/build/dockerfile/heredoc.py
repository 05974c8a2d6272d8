"""Here-documents: `<<EOF` on the line of a RUN, COPY or ADD, and the lines up to its end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dockwright.build.dockerfile import words

_ALLOWED = ("RUN", "COPY", "ADD")
_OPENING = re.compile(r"(\d*)<<(-?)([^<]+)")


@dataclass(frozen=True)
class Heredoc:
    """`chomp` (`<<-`) drops leading tabs; `expand` is false when the name was quoted; `fd` is the descriptor for a shell."""

    name: str
    expand: bool
    chomp: bool
    fd: int = 0
    content: str = ""

    def filled(self, lines: Iterable[str]) -> Heredoc:
        """With the lines of its body."""
        kept = (line.lstrip("\t") if self.chomp else line for line in lines)
        return replace(self, content="".join(f"{line}\n" for line in kept))


def openings(text: str, escape: str) -> list[Heredoc]:
    """The here-documents that the instruction `text` opens, in order."""
    if "<<" not in text:
        return []
    keyword, _, rest = text.partition(" ")
    while keyword.upper() == "ONBUILD":
        keyword, _, rest = rest.strip().partition(" ")
    if keyword.upper() not in _ALLOWED or words.json_array(words.after_flags(rest, escape)) is not None:
        return []
    return [found for word in words.split_raw(rest, escape) if (found := opening(word, escape)) is not None]


def opening(word: str, escape: str) -> Heredoc | None:
    """The here-document that `word` (quotes still in it) opens; None when it opens none."""
    match = _OPENING.fullmatch(word)
    if match is None:
        return None
    name = words.unquote(match[3], escape)
    if not name or any(character.isspace() for character in name):
        return None
    return Heredoc(name, name == match[3], bool(match[2]), int(match[1] or 0))
