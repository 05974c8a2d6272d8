"""The seam to what keeps a volume's data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class VolumeDriver(Protocol):
    """Keeps volumes by name.

        await driver.create("data", {})
        path = await driver.mount("data", user="container id")
        await driver.unmount("data", user="container id")
        await driver.remove("data")

    Every verb may be repeated: creating what exists and removing what does not are fine.
    """

    async def create(self, name: str, options: Mapping[str, str]) -> None:
        """Make the volume. Raises `Invalid` for options the driver does not know."""

    async def mount(self, name: str, user: str) -> Path:
        """Make its data visible on this host for `user` and return where. Raises `NotFound`."""

    async def unmount(self, name: str, user: str) -> None:
        """`user` needs it no more."""

    async def remove(self, name: str) -> None:
        """Delete it with all its data."""

    async def mountpoint(self, name: str) -> Path:
        """Where its data is or will be visible. Raises `NotFound`."""
