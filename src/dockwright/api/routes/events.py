"""The event stream."""

from __future__ import annotations

import time

from aiohttp import web

from dockwright.api.call import Call
from dockwright.api.filters import Filters
from dockwright.api.render.events import encode_event
from dockwright.api.router import Router
from dockwright.events import Event
from dockwright.units import parse_time

ROUTER = Router()
_NAMES = ("config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret")
_MORE = ("service", "type", "volume")


@ROUTER.add("GET", "/events")
async def events(call: Call) -> web.StreamResponse:
    now = time.time_ns()
    since, until = call.text("since"), call.text("until")
    since_ns = parse_time(since, now) if since else None
    until_ns = parse_time(until, now) if until else None
    filters = Filters.parse(call.text("filters"), _NAMES + _MORE)
    response = await call.stream("application/json")

    def matches(event: Event) -> bool:
        return _matches(event, filters)

    async for event in call.engine.events.follow(matches, since_ns=since_ns, until_ns=until_ns):
        await response.write(encode_event(event))
    await response.write_eof()
    return response


def _matches(event: Event, filters: Filters) -> bool:
    attributes = event.attributes
    # An action may carry its argument: `exec_create: sh` is found by `exec_create` as well.
    actions = {event.action, event.action.partition(":")[0]}
    return (
        filters.any_of("type", {event.type})
        and filters.any_of("event", actions)
        and filters.any_of("scope", {"local"})
        and filters.labels(attributes)
        and all(_about(event, kind, filters) for kind in ("container", "volume", "network", "daemon", "plugin"))
        and _image(event, filters)
    )


def _about(event: Event, kind: str, filters: Filters) -> bool:
    wanted = filters.get(kind)
    if not wanted:
        return True
    name = event.attributes.get("name", "")
    return event.type == kind and any(
        value.removeprefix("/") == name or event.actor_id.startswith(value) for value in wanted
    )


def _image(event: Event, filters: Filters) -> bool:
    wanted = filters.get("image")
    if not wanted:
        return True
    names = {event.actor_id, event.attributes.get("name", ""), event.attributes.get("image", "")}
    bare = {name.partition(":")[0] for name in names}
    return any(value in names or value in bare for value in wanted)
