"""The next page: the `Link` header (RFC 8288) as registries use it. No I/O."""

from __future__ import annotations

import re

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', re.I)


def next_page(header: str) -> str | None:
    """The target whose relation is `next`, as it stands there (usually relative); None on the last page."""
    for target, parameters in _LINK.findall(header):
        for quoted, plain in _REL.findall(parameters):
            if "next" in (quoted or plain).lower().split():
                return str(target)
    return None
