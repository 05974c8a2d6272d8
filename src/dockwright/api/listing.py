"""Which containers a list shows: the filters of `GET /containers/json`."""

from __future__ import annotations

import re
from collections.abc import Callable

from dockwright.api.filters import Filters
from dockwright.container import Container
from dockwright.container.state import Status
from dockwright.engine import Engine
from dockwright.errors import Invalid, NotFound

LIST_FILTERS = (
    "ancestor",
    "before",
    "expose",
    "exited",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
)
_HEALTH = {"none", "starting", "healthy", "unhealthy"}


async def select(engine: Engine, filters: Filters, *, all_states: bool, limit: int) -> list[Container]:
    """The containers to show, newest first. Raises `Invalid` for bad filter values, `NotFound` for before/since."""
    for value in filters.get("status"):
        if value not in set(Status):
            raise Invalid(f"invalid filter 'status={value}'")
    for value in filters.get("health"):
        if value not in _HEALTH:
            raise Invalid(f"invalid filter 'health={value}'")
    filters.flag("is-task")  # a bad value is told even when there is no container to try it on
    _ports([*filters.get("expose"), *filters.get("publish")], set())
    before = [engine.containers.get(name).record.spec.created_ns for name in filters.get("before")]
    since = [engine.containers.get(name).record.spec.created_ns for name in filters.get("since")]
    ancestors = await _ancestors(engine, filters.get("ancestor"))
    exits = {_number(value) for value in filters.get("exited")}
    # Docker: limit, before, since and status look at every state, as `all` does.
    every = all_states or bool(limit > 0 or before or since or exits or filters.get("status"))
    chosen = []
    for container in engine.containers.all():
        created = container.record.spec.created_ns
        if not every and not container.alive and container.status is not Status.RESTARTING:
            continue
        if any(created >= limit_ns for limit_ns in before) or any(created <= limit_ns for limit_ns in since):
            continue
        if exits and (container.alive or container.record.state.exit_code not in exits):
            continue
        if ancestors is not None and container.record.spec.image_id not in ancestors:
            continue
        if not _matches(engine, container, filters):
            continue
        chosen.append(container)
        if limit and limit > 0 and len(chosen) == limit:
            break
    return chosen


def _matches(engine: Engine, container: Container, filters: Filters) -> bool:
    spec, state = container.record.spec, container.record.state
    health = state.health.status if state.health else "none"
    return (
        filters.any_of("status", {container.status})
        and filters.any_of("health", {health})
        and filters.any_of("isolation", {"", "default"})
        and filters.flag("is-task") is not True
        and filters.labels(spec.config.labels)
        and _any(filters.get("name"), lambda value: _named(value, container.name))
        and _any(filters.get("id"), container.id.startswith)
        and _any(
            filters.get("volume"), lambda value: any(value in (p.name, p.destination, p.source) for p in spec.points)
        )
        and _any(filters.get("network"), lambda value: _on_network(engine, container, value))
        and _ports(filters.get("expose"), {_with_protocol(text) for text in spec.config.exposed_ports or {}})
        and _ports(filters.get("publish"), _published(engine, container))
    )


def _any(wanted: list[str], test: Callable[[str], bool]) -> bool:
    return not wanted or any(test(value) for value in wanted)


def _named(pattern: str, name: str) -> bool:
    """With or without the slash that Docker puts before names: `^/web$` and `^web$` find `web`."""
    expression = re.compile(_pattern(pattern))
    return expression.search(name) is not None or expression.search("/" + name) is not None


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error:
        return re.escape(value)
    return value


def _on_network(engine: Engine, container: Container, value: str) -> bool:
    attachment = engine.networks.attachment(container.id)
    if attachment is not None:
        return any(value == p.network_name or p.network_id.startswith(value) for p in attachment.places)
    spec = container.record.spec
    return value in spec.endpoints or value == (
        "bridge" if spec.host.network_mode == "default" else spec.host.network_mode
    )


def _published(engine: Engine, container: Container) -> set[str]:
    attachment = engine.networks.attachment(container.id)
    return {f"{port.container_port}/{port.protocol}" for port in (attachment.ports if attachment else ())}


def _ports(wanted: list[str], present: set[str]) -> bool:
    if not wanted:
        return True
    for value in wanted:
        span, _, protocol = value.partition("/")
        first, dash, last = span.partition("-")
        low, high = _number(first), _number(last) if dash else _number(first)
        if high < low:
            raise Invalid(f"invalid range specified for port: {value[:64]}")
        if any(f"{number}/{protocol or 'tcp'}" in present for number in range(low, min(high, 65535) + 1)):
            return True
    return False


def _with_protocol(text: str) -> str:
    return text if "/" in text else text + "/tcp"


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Invalid(f"invalid filter value '{text[:64]}': a number is expected") from None


async def _ancestors(engine: Engine, names: list[str]) -> set[str] | None:
    """The images that containers may come from: those named and every image built on them."""
    if not names:
        return None
    found: set[str] = set()
    for name in names:
        try:
            image = await engine.images.resolve(name)
        except NotFound:
            continue
        found.add(image.id)
        found |= await engine.images.descendants(image.id)
    return found
