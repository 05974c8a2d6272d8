"""What a build says while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dockwright.oci import Digest


@dataclass(frozen=True)
class Started:
    """A step begins. `number` counts the steps that have begun in this build, from 1; `total` are all it has."""

    number: int
    total: int
    title: str


@dataclass(frozen=True)
class Said:
    """Output of a step's command, as it came."""

    number: int
    data: bytes


@dataclass(frozen=True)
class Ended:
    """A step is done: from the cache, or after so long."""

    number: int
    title: str
    cached: bool
    seconds: float


@dataclass(frozen=True)
class Warned:
    """A build check found something."""

    line: int
    rule: str
    message: str


@dataclass(frozen=True)
class Built:
    """The image is there, with these names."""

    image_id: Digest
    names: tuple[str, ...]


Progress = Started | Said | Ended | Warned | Built
Tell = Callable[[Progress], None]
