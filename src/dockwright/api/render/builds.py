"""A build as the classic builder's stream tells it: `Step 1/3 : FROM busybox`, output, `Successfully built ...`."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from dockwright.api.progress import Message
from dockwright.build import Built, CacheUse, Ended, Progress, Said, Started, Warned
from dockwright.units import rfc3339

_LABEL = re.compile(r"^\[[^]]*\] ")


async def messages(progress: AsyncGenerator[Progress, None], *, quiet: bool) -> AsyncGenerator[Message, None]:
    """What `/build` answers. `quiet` tells the image's ID alone."""
    async with aclosing(progress) as steps:
        async for text, aux in _told(steps):
            if aux is not None:
                yield {"aux": aux}
                if quiet:
                    yield {"stream": f"{aux['ID']}\n"}
            elif not quiet:
                yield {"stream": text}


async def _told(steps: AsyncIterator[Progress]) -> AsyncGenerator[tuple[str, dict[str, object] | None], None]:
    async for one in steps:
        match one:
            case Started() if one.number > 0:
                told = (one.step and one.step.written) or _LABEL.sub("", one.title)
                yield f"Step {one.number}/{one.total} : {told}\n", None
            case Said() if one.number > 0:
                yield one.data.decode("utf-8", "replace"), None
            case Ended() if one.cached and one.number > 0:
                yield " ---> Using cache\n", None
            case Warned():
                yield f"[Warning] line {one.line}: {one.rule}: {one.message}\n", None
            case Built() if one.image_id is not None:
                yield "", {"ID": one.image_id}
                yield f"Successfully built {one.image_id.partition(':')[2][:12]}\n", None
                for name in one.names:
                    yield f"Successfully tagged {name}\n", None


def cache_use(use: CacheUse) -> dict[str, object]:
    """`BuildCache` of `/system/df`."""
    return {
        "ID": use.id.partition(":")[2] or use.id,
        "Parents": None,
        "Type": use.kind,
        "Description": use.description,
        "InUse": use.in_use,
        "Shared": use.shared,
        "Size": use.size_bytes,
        "CreatedAt": rfc3339(use.created_ns),
        "LastUsedAt": rfc3339(use.used_ns),
        "UsageCount": use.uses,
    }
