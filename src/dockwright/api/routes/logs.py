"""`GET /containers/{id}/logs`."""

from __future__ import annotations

import time
from contextlib import aclosing
from urllib.parse import quote

from aiohttp import web

from dockwright.api import hijack
from dockwright.api.call import Call
from dockwright.api.router import Router
from dockwright.container import LogQuery
from dockwright.errors import Invalid
from dockwright.units import natural, parse_time, rfc3339

ROUTER = Router()
STREAMS = {"stdout": 1, "stderr": 2}
_FLUSH_BYTES = 64 << 10


@ROUTER.add("GET", "/containers/{id}/logs")
async def logs(call: Call) -> web.StreamResponse:
    container = call.engine.containers.get(call["id"])
    query = _query(call)
    terminal = container.record.spec.config.tty
    timestamps, details = call.flag("timestamps"), call.flag("details")
    attributes = _details(container.log.attributes) if details else b""
    kind = hijack.content_type(call.version, terminal=terminal)
    container.log.check_readable()
    response = await call.stream(kind)
    gathered = bytearray()
    continued: set[str] = set()
    async with aclosing(container.log.read(query)) as records:
        async for pending in records:
            line = pending.data
            if pending.stream not in continued:
                prefix = (_timestamp(pending.time_ns) if timestamps else b"") + attributes
                line = prefix + line
            (continued.add if pending.partial else continued.discard)(pending.stream)
            gathered += line if terminal else hijack.framed(STREAMS[pending.stream], line)
            if len(gathered) >= _FLUSH_BYTES or query.follow:
                await response.write(bytes(gathered))
                gathered.clear()
    await response.write_eof(bytes(gathered))
    return response


def _query(call: Call) -> LogQuery:
    stdout, stderr = call.flag("stdout"), call.flag("stderr")
    if not stdout and not stderr:
        raise Invalid("Bad parameters: you must choose at least one stream")
    now = time.time_ns()
    since, until, tail = call.text("since"), call.text("until"), call.text("tail", "all") or "all"
    # Docker takes anything that is no number, and a negative one, for all.
    count = natural(tail)
    return LogQuery(
        stdout=stdout,
        stderr=stderr,
        since_ns=parse_time(since, now) if since not in ("", "0") else 0,
        until_ns=parse_time(until, now) if until not in ("", "0") else 0,
        tail=count,
        follow=call.flag("follow"),
    )


def _timestamp(time_ns: int) -> bytes:
    """Always nine digits, so that lines align."""
    base, _, fraction = rfc3339(time_ns).removesuffix("Z").partition(".")
    return f"{base}.{fraction.ljust(9, '0')}Z ".encode()


def _details(attributes: dict[str, str]) -> bytes:
    if not attributes:
        return b" "
    pairs = (f"{quote(key)}={quote(value)}" for key, value in sorted(attributes.items()))
    return (",".join(pairs) + " ").encode()
