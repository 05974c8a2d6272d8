"""The seams to what keeps a volume's data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable


class Seen(NamedTuple):
    """What a driver tells of a volume: where its data is ("" while it is nowhere on this host), and details of its own."""

    mountpoint: str
    status: Mapping[str, Any] | None = None
    created_ns: int = 0


class VolumeDriver(Protocol):
    """Keeps volumes by name.

        await driver.create("data", {})
        path = await driver.mount("data", user="container id")
        await driver.unmount("data", user="container id")
        await driver.remove("data")

    Every verb may be repeated: creating what exists, mounting for the same user again and removing what does not exist are
    fine. The manager makes one call at a time for each name. The conformance suite is `tests/engine/volume/conformance.py`.
    """

    async def create(self, name: str, options: Mapping[str, str]) -> None:
        """Make the volume. Raises `Invalid` for options the driver does not know."""

    async def mount(self, name: str, user: str) -> Path:
        """Make its data visible on this host for `user` and return where. Raises `NotFound`, `Invalid`, `HostFailure`."""

    async def unmount(self, name: str, user: str) -> None:
        """`user` needs it no more; the data of the last one may go out of sight."""

    async def remove(self, name: str) -> None:
        """Delete it with all its data."""

    async def inspect(self, name: str) -> Seen:
        """What is known of it. Raises `NotFound`."""


@runtime_checkable
class Discovering(Protocol):
    """A driver whose volumes come and go by themselves: they are found without having been created here."""

    async def all(self) -> dict[str, Seen]:
        """Every volume of the driver. Raises `Unavailable` when it cannot be reached."""

    async def scope(self) -> str:
        """`local`, or `global` where the data is the same on every host."""


@runtime_checkable
class Adopting(Protocol):
    """A driver that has to be told who still uses what a former daemon mounted."""

    async def adopt(self, name: str, user: str) -> None:
        """`user` went on while no daemon ran."""


@runtime_checkable
class Renaming(Protocol):
    """A driver whose volumes may get another name."""

    async def rename(self, name: str, new_name: str) -> None:
        """Raises `NotFound`. May be repeated: fine when it has been done."""
