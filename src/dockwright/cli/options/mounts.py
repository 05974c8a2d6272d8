"""`--mount`, `--volume` and `--tmpfs`."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_RECURSIVE = {
    "enabled": {},
    "disabled": {"NonRecursive": True},
    "writable": {"ReadOnlyNonRecursive": True},
    "readonly": {"ReadOnlyForceRecursive": True},
}
_SWITCHES = ("readonly", "ro", "volume-nocopy", "bind-nonrecursive")
_OPTIONS_OF = {"bind": "BindOptions", "volume": "VolumeOptions", "image": "ImageOptions", "tmpfs": "TmpfsOptions"}


def mount(text: str) -> dict[str, Any]:
    """`type=bind,src=/a,dst=/b,readonly` as the API's `Mount`. Raises `ValueError`."""
    found: dict[str, Any] = {"Type": "volume"}
    for field in values.csv_fields(text):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        if not equals and key not in _SWITCHES:
            raise ValueError(f"invalid field '{field}' must be a key=value pair")
        _set(found, key, value if equals else "true", field)
    if not found["Type"]:
        raise ValueError("type is required")
    if not found.get("Target"):
        raise ValueError("target is required")
    for kind, options in _OPTIONS_OF.items():
        if options in found and kind != found["Type"]:
            raise ValueError(f"cannot mix '{kind}-*' options with mount type '{found['Type']}'")
    if found.get("BindOptions", {}).get("ReadOnlyForceRecursive"):
        _check_forced_readonly(found)
    return found


def _check_forced_readonly(found: dict[str, Any]) -> None:
    if not found.get("ReadOnly"):
        raise ValueError("option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction")
    if found["BindOptions"].get("Propagation") != "rprivate":
        raise ValueError(
            "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
        )


def _set(found: dict[str, Any], key: str, value: str, field: str) -> None:
    match key:
        case "type":
            found["Type"] = value.lower()
        case "source" | "src":
            found["Source"] = _absolute(value)
        case "target" | "dst" | "destination":
            found["Target"] = value
        case "readonly" | "ro":
            found["ReadOnly"] = _switch(key, value)
        case "consistency":
            found["Consistency"] = value.lower()
        case _ if key.startswith("bind-"):
            _set_bind(found.setdefault("BindOptions", {}), key, value, field)
        case _ if key.startswith("volume-"):
            _set_volume(found.setdefault("VolumeOptions", {}), key, value, field)
        case "image-subpath":
            found.setdefault("ImageOptions", {})["Subpath"] = value
        case "tmpfs-size":
            try:
                found.setdefault("TmpfsOptions", {})["SizeBytes"] = values.size_bytes(value)
            except ValueError as error:
                raise ValueError(f"invalid value for {key}: {value}") from error
        case "tmpfs-mode":
            try:
                found.setdefault("TmpfsOptions", {})["Mode"] = int(value, 8)
            except ValueError as error:
                raise ValueError(f"invalid value for {key}: {value}") from error
        case _:
            raise ValueError(f"unexpected key '{key}' in '{field}'")


def _set_bind(options: dict[str, Any], key: str, value: str, field: str) -> None:
    if key == "bind-propagation":
        options["Propagation"] = value.lower()
    elif key == "bind-nonrecursive":
        options["NonRecursive"] = _switch(key, value)
    elif key == "bind-recursive":
        if value not in _RECURSIVE:
            choices = '"enabled", "disabled", "writable", or "readonly"'
            raise ValueError(f"invalid value for {key}: {value} (must be {choices})")
        options.update(_RECURSIVE[value])
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _set_volume(options: dict[str, Any], key: str, value: str, field: str) -> None:
    if key == "volume-nocopy":
        options["NoCopy"] = _switch(key, value)
    elif key == "volume-subpath":
        options["Subpath"] = value
    elif key == "volume-label":
        name, _, content = value.partition("=")
        options.setdefault("Labels", {})[name] = content
    elif key == "volume-driver":
        options.setdefault("DriverConfig", {})["Name"] = value
    elif key == "volume-opt":
        name, _, content = value.partition("=")
        options.setdefault("DriverConfig", {}).setdefault("Options", {})[name] = content
    else:
        raise ValueError(f"unexpected key '{key}' in '{field}'")


def _switch(key: str, value: str) -> bool:
    try:
        return values.to_bool(value)
    except ValueError as error:
        raise ValueError(f"invalid value for {key}: {value}") from error


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path in (".", "..") or path.startswith(("./", "../")) else path


def volumes(specs: Iterable[str]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """`-v` as the API's `Binds` (with a source) and `Volumes` (without one). Raises `errors.Invalid`."""
    binds: list[str] = []
    anonymous: dict[str, dict[str, Any]] = {}
    for spec in specs:
        parts = spec.split(":")
        if not spec:
            raise errors.Invalid("invalid empty volume spec")
        if not all(parts):
            raise errors.Invalid(f"invalid spec: {spec}: empty section between colons")
        if len(parts) == 1:
            anonymous[spec] = {}
        else:
            binds.append(":".join((_absolute(parts[0]), *parts[1:])))
    return binds, anonymous


def tmpfs(specs: Iterable[str]) -> dict[str, str]:
    """`/run:size=64m,mode=755` as the API's `Tmpfs`."""
    parts = [spec.partition(":") for spec in specs]
    return {path: options for path, _, options in parts}
