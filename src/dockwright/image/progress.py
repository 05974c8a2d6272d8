"""What long-running verbs tell while they work."""

from __future__ import annotations

import msgspec


class Progress(msgspec.Struct):
    """One message. `id` names a layer or a tag, `current` and `total` are bytes, None where nothing is counted.

    `aux` is for programs: at the end of a push `{"Tag", "Digest", "Size"}`.
    """

    status: str
    id: str = ""
    current: int | None = None
    total: int | None = None
    aux: dict[str, object] | None = None
