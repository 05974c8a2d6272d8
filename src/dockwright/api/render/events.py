"""Events as the stream carries them."""

from __future__ import annotations

import msgspec

from dockwright.events import Event


def encode_event(event: Event) -> bytes:
    """One line of the stream; `status`, `id` and `from` are for clients of the first API versions."""
    body: dict[str, object] = {}
    if event.type in ("container", "image"):
        body["status"] = event.action
        body["id"] = event.actor_id
    if event.type == "container" and "image" in event.attributes:
        body["from"] = event.attributes["image"]
    body |= {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor_id, "Attributes": event.attributes},
        "scope": "local",
        "time": event.time_ns // 1_000_000_000,
        "timeNano": event.time_ns,
    }
    return msgspec.json.encode(body) + b"\n"
