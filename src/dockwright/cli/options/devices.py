"""`--device`, `--gpus`, `--device-cgroup-rule` and the block devices' weights and rates."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_MODES = frozenset("rwm")


def devices(specs: Iterable[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """`HOST[:CONTAINER][:rwm]` as `Devices`, CDI names (`vendor/class=name`) as `DeviceRequests`."""
    mapped, named = [], []
    for spec in specs:
        if _is_cdi(spec):
            named.append(spec)
        else:
            mapped.append(_device(spec))
    return mapped, [{"Driver": "cdi", "DeviceIDs": named}] if named else []


def _is_cdi(spec: str) -> bool:
    kind, equals, name = spec.partition("=")
    return bool(equals and name and "/" in kind and not spec.startswith("/"))


def _device(spec: str) -> dict[str, Any]:
    source, *rest = spec.split(":")
    target, mode = source, "rwm"
    if len(rest) == 2:
        target, mode = rest
        if not _is_mode(mode):
            raise errors.Invalid(f"bad mode specified: {mode}")
    elif len(rest) == 1 and _is_mode(rest[0]):
        mode = rest[0]
    elif len(rest) == 1:
        target = rest[0]
    elif rest:
        raise errors.Invalid(f"invalid device specification: {spec}")
    if not target.startswith("/"):
        raise errors.Invalid(f"{target} is not an absolute path")
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": mode}


def _is_mode(text: str) -> bool:
    return bool(text) and _MODES.issuperset(text) and len(set(text)) == len(text)


def cgroup_rule(text: str) -> str:
    """`c 1:3 rwm`, with `*` for any number."""
    kind, _, rest = text.partition(" ")
    numbers, _, mode = rest.partition(" ")
    major, _, minor = numbers.partition(":")
    if kind not in ("a", "b", "c") or not _is_mode(mode) or not all(n == "*" or n.isdigit() for n in (major, minor)):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def gpus(text: str) -> dict[str, Any]:
    """`all`, a number, or `count=…,driver=…,device=…,capabilities=…,options=…` as a `DeviceRequest`."""
    request: dict[str, Any] = {"Driver": "", "Count": 0, "DeviceIDs": [], "Capabilities": [], "Options": {}}
    seen = set[str]()
    for field in values.csv_fields(text):
        key, equals, value = (part.strip() for part in field.partition("="))
        if not equals:
            key, value = "count", field.strip()
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        _set_gpu(request, key, value, field)
    if "count" not in seen and "device" not in seen:
        request["Count"] = 1
    if not request["Capabilities"]:
        request["Capabilities"] = [["gpu"]]
    return request


def _set_gpu(request: dict[str, Any], key: str, value: str, field: str) -> None:
    if key == "count":
        try:
            request["Count"] = -1 if value == "all" else int(value)
        except ValueError as error:
            raise ValueError(f'invalid count ({value}): value must be either "all" or an integer') from error
    elif key == "driver":
        request["Driver"] = value
    elif key == "device":
        request["DeviceIDs"] = value.split(",")
    elif key == "capabilities":
        request["Capabilities"] = [[*value.split(","), "gpu"]]
    elif key == "options":
        request["Options"] = dict(values.map_pair(one) for one in values.csv_fields(value))
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def weight(text: str) -> dict[str, Any]:
    """`/dev/sda:500` as a `WeightDevice`."""
    path, number = _device_value(text)
    if not number.isdigit() or (int(number) and not 10 <= int(number) <= 1000):
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": int(number)}


def bytes_rate(text: str) -> dict[str, Any]:
    """`/dev/sda:1mb` as a `ThrottleDevice`."""
    path, number = _device_value(text)
    try:
        return {"Path": path, "Rate": values.size_bytes(number)}
    except ValueError as error:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from error


def operations_rate(text: str) -> dict[str, Any]:
    """`/dev/sda:1000` as a `ThrottleDevice`."""
    path, number = _device_value(text)
    if not number.isdigit():
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        )
    return {"Path": path, "Rate": int(number)}


def _device_value(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not colon or not value:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


BLOCK_IO: dict[str, Callable[[str], dict[str, Any]]] = {
    "blkio-weight-device": weight,
    "device-read-bps": bytes_rate,
    "device-write-bps": bytes_rate,
    "device-read-iops": operations_rate,
    "device-write-iops": operations_rate,
}
