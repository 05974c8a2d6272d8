"""What long-running verbs tell while they work."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct):
    """One step. `id` is what it is about (a layer, a tag), empty for the whole; `current` and `total` are bytes, None where
    nothing is counted; `aux` is a result for programs. Errors are raised, never told."""

    status: str
    id: str = ""
    current: int | None = None
    total: int | None = None
    aux: dict[str, str | int] | None = None
