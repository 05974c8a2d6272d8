"""What one container may ask about the others; the index of containers answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from dockwright.container.record import Record

if TYPE_CHECKING:
    from dockwright.container.container import Container


class Others(Protocol):
    """The other containers of an engine, as one container sees them."""

    def process_of(self, reference: str) -> int:
        """The pid of a running container, to share its namespaces. Raises `NotFound`, `Conflict`."""
        ...

    def record_of(self, reference: str) -> Record:
        """The record of a container. Raises `NotFound`."""
        ...

    def linkers_of(self, container_id: str) -> Sequence[Container]:
        """The containers that have a legacy link to this one."""
        ...

    def forget(self, container: Container) -> None:
        """It is removed: take it out of the index."""
        ...
