"""The System section of the Engine API, and the object lists that `inspect` and `system prune` walk through."""

from __future__ import annotations

from dockwright.client.call import Call, encode_filters, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Filters = Mapping[str, Iterable[str]] | None


def ping() -> Call:
    return Call("HEAD", "/_ping")


def info() -> Call:
    return Call("GET", "/info")


def version() -> Call:
    return Call("GET", "/version")


def disk_usage(*, types: Iterable[str] = ()) -> Call:
    return Call("GET", "/system/df", (("type", [*types]),))


def auth(credentials: Mapping[str, str]) -> Call:
    """Try `credentials`, an AuthConfig, at the registry it names."""
    return Call("POST", "/auth", json=dict(credentials))


def events(*, since: str = "", until: str = "", filters: Filters = None) -> Call:
    return Call("GET", "/events", (("since", since), ("until", until), ("filters", encode_filters(filters))))


def prune(kind: str, *, filters: Filters = None, all: bool = False) -> Call:
    """`kind` is `networks`, `volumes` or `build`."""
    return Call("POST", f"/{kind}/prune", (("filters", encode_filters(filters)), ("all", all)))


def reconcile() -> Call:
    """Of this engine alone, not in the Engine API: the kernel is made to agree with what is stored."""
    return Call("POST", "/system/reconcile")


def inspect(kind: str, name: str) -> Call:
    """`kind` is `networks`, `volumes`, `nodes`, `services`, `tasks`, `secrets`, `configs` or `plugins`."""
    verb = "/json" if kind == "plugins" else ""
    return Call("GET", f"/{kind}/{quote(name)}{verb}")


def list_objects(kind: str) -> Call:
    """The listing of networks or volumes, for completion."""
    return Call("GET", f"/{kind}")
