"""Dockerfile instructions applied to a configuration: the `changes` of `import` and `commit`."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Sequence

import msgspec

from dockwright.errors import Invalid
from dockwright.oci import Healthcheck, RunConfig
from dockwright.units import parse_duration

SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)


def apply_changes(config: RunConfig, changes: Iterable[str]) -> RunConfig:
    """`config` after each instruction (`CMD`, `ENTRYPOINT`, `ENV`, `EXPOSE`, `HEALTHCHECK`, `LABEL`, `ONBUILD`,
    `STOPSIGNAL`, `USER`, `VOLUME`, `WORKDIR`). Raises `Invalid`, naming the instruction."""
    for change in changes:
        for line in filter(None, (part.strip() for part in change.replace("\\\n", " ").splitlines())):
            word, _, rest = line.partition(" ")
            instruction = _INSTRUCTIONS.get(word.upper())
            if instruction is None:
                raise Invalid(f"{word} is not a valid change command")
            if not rest.strip():
                raise Invalid(f"{word.upper()} requires at least one argument")
            config = instruction(config, rest.strip())
    return config


def _set(config: RunConfig, **fields: object) -> RunConfig:
    return msgspec.structs.replace(config, **fields)


def _cmd(config: RunConfig, rest: str) -> RunConfig:
    return _set(config, cmd=_command(config, rest))


def _entrypoint(config: RunConfig, rest: str) -> RunConfig:
    return _set(config, entrypoint=_command(config, rest))


def _command(config: RunConfig, rest: str) -> tuple[str, ...]:
    words = _json_words(rest)
    return tuple(words) if words is not None else (*(config.shell or SHELL), rest)


def _env(config: RunConfig, rest: str) -> RunConfig:
    variables = dict(entry.partition("=")[::2] for entry in config.env or ())
    variables.update(_pairs("ENV", rest))
    return _set(config, env=tuple(f"{key}={value}" for key, value in variables.items()))


def _label(config: RunConfig, rest: str) -> RunConfig:
    return _set(config, labels={**(config.labels or {}), **_pairs("LABEL", rest)})


def _expose(config: RunConfig, rest: str) -> RunConfig:
    ports = dict(config.exposed_ports or {})
    for word in _words("EXPOSE", rest):
        match = _PORT.fullmatch(word)
        if match is None:
            raise Invalid(f"invalid containerPort: {word}")
        first, last = int(match[1]), int(match[2] or match[1])
        if not 0 < first <= last <= 65535:
            raise Invalid(f"invalid containerPort: {word}")
        ports.update({f"{port}/{(match[3] or 'tcp').lower()}": {} for port in range(first, last + 1)})
    return _set(config, exposed_ports=ports)


def _volume(config: RunConfig, rest: str) -> RunConfig:
    paths = _json_words(rest)
    paths = paths if paths is not None else _words("VOLUME", rest)
    if not all(path.strip() for path in paths):
        raise Invalid("VOLUME specified can not be an empty string")
    return _set(config, volumes={**(config.volumes or {}), **{path: {} for path in paths}})


def _workdir(config: RunConfig, rest: str) -> RunConfig:
    path = rest if rest.startswith("/") else f"{config.working_dir.rstrip('/')}/{rest}"
    return _set(config, working_dir="/" + path.strip("/"))


def _onbuild(config: RunConfig, rest: str) -> RunConfig:
    word = rest.split(None, 1)[0].upper()
    if word == "ONBUILD":
        raise Invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in ("FROM", "MAINTAINER"):
        raise Invalid(f"{word} isn't allowed as an ONBUILD trigger")
    return _set(config, on_build=(*(config.on_build or ()), rest))


def _healthcheck(config: RunConfig, rest: str) -> RunConfig:
    options: dict[str, int] = {}
    while rest.startswith("--"):
        flag, _, rest = rest.partition(" ")
        name, _, value = flag[2:].partition("=")
        if name == "retries" and value.isdigit():
            options["retries"] = int(value)
        elif name in ("interval", "timeout", "start-period", "start-interval"):
            options[name.replace("-", "_")] = parse_duration(value)
        else:
            raise Invalid(f"unknown flag: {flag}")
        rest = rest.strip()
    kind, _, command = rest.partition(" ")
    command = command.strip()
    if kind.upper() == "NONE" and not command and not options:
        return _set(config, healthcheck=Healthcheck(("NONE",)))
    if kind.upper() != "CMD" or not command:
        raise Invalid(
            f"unknown type {kind!r} of HEALTHCHECK (try CMD)" if kind else "missing command after HEALTHCHECK"
        )
    words = _json_words(command)
    test = ("CMD", *words) if words is not None else ("CMD-SHELL", command)
    return _set(config, healthcheck=Healthcheck(test, **options))


def _json_words(text: str) -> Sequence[str] | None:
    """The strings of a JSON array; None for anything else, which is then a shell's business."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _words(instruction: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Invalid(f"{instruction}: {error}: {text}") from error


def _pairs(instruction: str, text: str) -> dict[str, str]:
    """`key=value ...` with quotes, or the old form `key the rest`."""
    if "=" not in text.split(None, 1)[0]:
        key, _, value = text.partition(" ")
        if not value.strip():
            raise Invalid(f"{instruction} must have two arguments")
        return {key: value.strip()}
    pairs = {}
    for word in _words(instruction, text):
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise Invalid(f"Syntax error - can't find = in {word!r}. Must be of the form: name=value")
        pairs[key] = value
    return pairs


_INSTRUCTIONS: dict[str, Callable[[RunConfig, str], RunConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": lambda config, rest: _set(config, stop_signal=rest),
    "USER": lambda config, rest: _set(config, user=rest),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
