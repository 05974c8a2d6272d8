"""What one operation yields: trees by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dockwright.build.planning.graph import Copy, Download, Local, Repository, Scratch, Vertex
from dockwright.errors import Invalid, Unsupported


@dataclass(frozen=True)
class Results:
    """`refused` are those that the operation has and that cannot be had, with why; `own` what the operation itself makes."""

    trees: Mapping[int, Vertex]
    own: tuple[Vertex, ...] = ()
    refused: Mapping[int, str] = field(default_factory=dict)

    @classmethod
    def one(cls, vertex: Vertex) -> Results:
        """A single tree."""
        return cls({0: vertex}, (vertex,))

    def at(self, index: int) -> Vertex:
        """Raises `Unsupported` for one that cannot be had, `Invalid` for one that there is none."""
        if index in self.refused:
            raise Unsupported(self.refused[index])
        if index not in self.trees:
            raise Invalid(f"the definition wants result {index} of an operation that has {len(self.trees)}")
        return self.trees[index]


def chosen(inputs: Sequence[Vertex], number: int, where: str) -> Vertex:
    """An input by its number, -1 is the empty tree. Raises `Invalid`."""
    if number == -1:
        return Scratch()
    if not 0 <= number < len(inputs):
        raise Invalid(f"{where}: there is no input {number}")
    return inputs[number]


def layered(vertex: Vertex) -> Vertex:
    """Files that lie somewhere, as layers."""
    if not isinstance(vertex, Local | Repository | Download):
        return vertex
    return Copy(title=vertex.title, base=Scratch(), source=vertex, paths=("/",), destination="/")
