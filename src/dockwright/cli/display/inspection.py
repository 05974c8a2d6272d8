"""`inspect` of anything: what was found as JSON or by a template, and what was not."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ExitStatus
from dockwright.cli.main import describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from dockwright.cli.session import Session
    from dockwright.cli.template import Template

FORMAT_HELP = "How to print each thing: 'json', or a Go TEMPLATE over its fields; indented JSON when not given"

# What Go's types say where JSON says null or nothing. The names are unambiguous among the things `inspect` shows.
_LISTS = frozenset(
    """
    Binds CapAdd CapDrop Dns DnsOptions DnsSearch ExtraHosts GroupAdd Links VolumesFrom SecurityOpt
    Entrypoint Cmd OnBuild ExecIDs Devices DeviceRequests DeviceCgroupRules Ulimits BlkioWeightDevice
    BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps Mounts Aliases
    DNSNames MaskedPaths ReadonlyPaths Env RepoTags RepoDigests Layers Capabilities Shell
    SecondaryIPAddresses SecondaryIPv6Addresses Log
    """.split()
)
_TEXT_MAPS = frozenset(["Labels", "Sysctls", "Tmpfs", "StorageOpt", "DriverOpts", "Options", "Annotations", "Data"])
_MAPS = _TEXT_MAPS | frozenset(["Volumes", "PortBindings", "Ports", "ExposedPorts", "Networks"])
_OPTIONAL: dict[str, tuple[str, ...]] = {
    "State": ("Health",),
    "Config": (
        "Healthcheck",
        "ExposedPorts",
        "StopSignal",
        "StopTimeout",
        "Shell",
        "OnBuild",
        "MacAddress",
        "Volumes",
        "Labels",
    ),
    "HostConfig": ("Mounts", "Tmpfs", "Sysctls", "StorageOpt", "Init", "Annotations"),
}
_POINTERS = frozenset(("Health", "Healthcheck", "StopTimeout", "Init"))


def show(
    session: Session, names: Iterable[str], get: Callable[[str], Any], format: str, *, not_found: str = ""
) -> None:
    """Print `get(name)` for each name. Raises `ExitStatus` where some could not be got; the others are printed."""
    template = _template(format) if format not in ("", "json") else None
    found, failed = [], []
    for name in names:
        try:
            found.append(get(name))
        except errors.NotFound as error:
            failed.append(f"Error: {not_found}: {name}" if not_found else describe(error))
        except errors.DockwrightError as error:
            failed.append(describe(error))
            break
    if template is not None:
        _show_rendered(session, template, found, failed)
    elif format == "json":
        from dockwright.client import wirejson

        session.line(wirejson.encode(found))
    else:
        from dockwright.cli.display.pretty import indented

        session.line(indented(found))
    if failed:
        raise ExitStatus(1, "\n".join(failed))


def _template(format: str) -> Template:
    from dockwright.cli.template import ParseError, Template

    try:
        return Template(format, strict=True)
    except ParseError as error:
        raise ExitStatus(64, f"template parsing error: {error}") from error


def _show_rendered(session: Session, template: Template, found: list[Any], failed: list[str]) -> None:
    from dockwright.cli.template import ExecutionError

    lines = []
    for value in found:
        try:
            lines.append(template.render(typed(value)) + "\n")
        except ExecutionError as error:
            session.out("".join(lines) + "\n" if not lines else "".join(lines))
            raise ExitStatus(1, f"template parsing error: {error}") from error
    session.out("".join(lines) if lines or not failed else "\n")


def typed(value: Any, name: str = "", parent: str = "") -> Any:
    """`value` with nulls and absent fields as the engine's types have them: an empty list is not a missing one."""
    from dockwright.cli.template.printing import NIL, Mapping, NilList, NilMap, Struct

    if value is None:
        return NilList() if name in _LISTS else NilMap() if name in _MAPS else NIL
    if isinstance(value, list):
        return [typed(one) for one in value]
    if not isinstance(value, dict):
        return value
    fields = {key: typed(one, key, name) for key, one in value.items()}
    if name in _MAPS or (parent, name) == ("LogConfig", "Config"):
        return Mapping(fields, "" if name in _TEXT_MAPS else None)
    return Struct(fields, {field: _absent(field) for field in _OPTIONAL.get(name, ())})


def _absent(field: str) -> Any:
    return typed(None, field) if field in _LISTS | _MAPS | _POINTERS else ""
