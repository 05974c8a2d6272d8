"""The Network section of the Engine API."""

from __future__ import annotations

from dockwright.client.call import Call, encode_filters, quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Filters = Mapping[str, Iterable[str]] | None


def _path(network: str, verb: str = "") -> str:
    return f"/networks/{quote(network)}{verb}"


def list(*, filters: Filters = None) -> Call:
    return Call("GET", "/networks", (("filters", encode_filters(filters)),))


def inspect(network: str, *, verbose: bool = False, scope: str = "") -> Call:
    return Call("GET", _path(network), (("verbose", verbose), ("scope", scope)))


def create(config: Mapping[str, Any]) -> Call:
    return Call("POST", "/networks/create", json=config)


def remove(network: str) -> Call:
    return Call("DELETE", _path(network))


def connect(network: str, container: str, endpoint: Mapping[str, Any] | None = None) -> Call:
    body: dict[str, Any] = {"Container": container}
    if endpoint:
        body["EndpointConfig"] = dict(endpoint)
    return Call("POST", _path(network, "/connect"), json=body)


def disconnect(network: str, container: str, *, force: bool = False) -> Call:
    return Call("POST", _path(network, "/disconnect"), json={"Container": container, "Force": force})


def prune(*, filters: Filters = None) -> Call:
    return Call("POST", "/networks/prune", (("filters", encode_filters(filters)),))
