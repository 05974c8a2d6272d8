"""`--log-opt`: which options a driver knows, what they mean, and the attributes and tags made from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from dockwright.errors import Invalid
from dockwright.logs.record import LogInfo

#: Known to every driver that keeps or sends anything.
COMMON = frozenset({"env", "env-regex", "labels", "labels-regex", "tag", "mode", "max-buffer-size"})
CACHE = frozenset({"cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"})

DEFAULT_SIZE_BYTES = 20 * 1000 * 1000
DEFAULT_FILES = 5
DEFAULT_TAG = "{{.ID}}"

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kKmMgGtTpP]?)(?:i?[bB])?")
_FIELD = re.compile(r"\{\{\s*\.(\w+)\s*\}\}")
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


def check_known(options: Mapping[str, str], known: frozenset[str], driver: str) -> None:
    """Refuse an option the driver does not know, in Docker's words. Raises `Invalid`."""
    for key in options:
        if key not in known and key not in COMMON:
            raise Invalid(f"unknown log opt '{key}' for {driver} log driver")


def check_mode(options: Mapping[str, str]) -> None:
    """`mode` and `max-buffer-size`: conmon's spool never blocks the container and loses nothing, which serves both modes.

    Raises `Invalid` for what Docker refuses.
    """
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise Invalid(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            raise Invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        size_bytes(options["max-buffer-size"], "max-buffer-size")


def size_bytes(text: str, option: str) -> int:
    """`10m`, `1.5g`: powers of 1000, as Docker reads them. Raises `Invalid`."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise Invalid(f"invalid size: '{text}'")
    value = int(float(match[1]) * 1000 ** " kmgtp".index(match[2].lower() or " "))
    if value <= 0:
        raise Invalid(f"{option} must be a positive number")
    return value


def whole(text: str, option: str) -> int:
    """A number of at least 1. Raises `Invalid`."""
    try:
        value = int(text)
    except ValueError as error:
        raise Invalid(f'strconv.Atoi: parsing "{text}": invalid syntax') from error
    if value < 1:
        raise Invalid(f"{option} cannot be less than 1")
    return value


def boolean(text: str) -> bool:
    """What Go's `strconv.ParseBool` takes. Raises `Invalid`."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise Invalid(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def attributes(
    info: LogInfo, options: Mapping[str, str], rename: Callable[[str], str] = lambda key: key
) -> dict[str, str]:
    """What `labels`, `labels-regex`, `env` and `env-regex` select. Raises `Invalid` for a bad expression."""
    environment = dict(entry.partition("=")[::2] for entry in info.env if "=" in entry)
    found: dict[str, str] = {}
    for values, option in ((info.labels, "labels"), (environment, "env")):
        for key in filter(None, options.get(option, "").split(",")):
            if key in values:
                found[rename(key)] = values[key]
        if pattern := options.get(f"{option}-regex"):
            try:
                expression = re.compile(pattern)
            except re.error as error:
                raise Invalid(f"error parsing regexp: {error}: `{pattern}`") from error
            found |= {rename(key): value for key, value in values.items() if expression.search(key)}
    return found


def tag(info: LogInfo, options: Mapping[str, str], default: str = "") -> str:
    """The `tag` option with its fields filled in. Raises `Invalid` for a field there is not."""
    template = options.get("tag") or default
    fields = {
        "ID": info.container_id[:12],
        "FullID": info.container_id,
        "Name": info.name.lstrip("/"),
        "ImageID": info.image_id.removeprefix("sha256:")[:12],
        "ImageFullID": info.image_id,
        "ImageName": info.image_name,
        "DaemonName": info.daemon_name,
        "Command": info.command,
    }

    def fill(match: re.Match[str]) -> str:
        if match[1] not in fields:
            raise Invalid(f"log tag {template!r}: no field {match[1]}; there are {', '.join(fields)}")
        return fields[match[1]]

    text = _FIELD.sub(fill, template)
    if "{{" in _FIELD.sub("", template):
        raise Invalid(f"log tag {template!r}: only fields like {{{{.Name}}}} are filled in")
    return text


def all_attributes(info: LogInfo, options: Mapping[str, str]) -> dict[str, str]:
    """Attributes and, where asked for, the tag: what the file drivers keep with each record."""
    found = attributes(info, options)
    if text := tag(info, options):
        found["tag"] = text
    return found
