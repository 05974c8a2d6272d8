"""The Exec section of the Engine API."""

from __future__ import annotations

from dockwright.client.call import Call, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def create(container: str, config: Mapping[str, Any]) -> Call:
    return Call("POST", f"/containers/{quote(container)}/exec", json=config)


def start(exec_id: str, *, tty: bool = False, console_size: tuple[int, int] | None = None) -> Call:
    """Start and attach: the answer is a two-way stream. `console_size` is height, width."""
    config: dict[str, Any] = {"Detach": False, "Tty": tty}
    if console_size:
        config["ConsoleSize"] = [*console_size]
    return Call("POST", f"/exec/{quote(exec_id)}/start", json=config, hijack=True)


def start_detached(exec_id: str, *, tty: bool = False) -> Call:
    return Call("POST", f"/exec/{quote(exec_id)}/start", json={"Detach": True, "Tty": tty})


def resize(exec_id: str, *, height: int, width: int) -> Call:
    return Call("POST", f"/exec/{quote(exec_id)}/resize", (("h", height), ("w", width)))


def inspect(exec_id: str) -> Call:
    return Call("GET", f"/exec/{quote(exec_id)}/json")
