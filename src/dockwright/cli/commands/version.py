"""`version`: ours, the engine's, and that of its parts."""

from __future__ import annotations

import sys

from dockwright import __version__, errors
from dockwright.cli.command import NO_ARGUMENTS, Command, ExitStatus
from dockwright.cli.flags import Flag
from dockwright.cli.main import describe
from dockwright.client.calls import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_WIDTH = 18


def run(session: Session, options: Options, arguments: list[str]) -> None:
    server: dict[str, Any] | None = None
    problem = ""
    try:
        server = session.client.json(system.version())
    except errors.DockwrightError as error:
        problem = describe(error)
    client = _client(session, known=server is not None)
    if options.text("format"):
        from dockwright.cli.display.templated import render_one

        session.line(render_one(options.text("format"), {"Client": client, "Server": server}))
    else:
        session.out("\n".join(_lines(client, server)) + "\n")
    if problem:
        raise ExitStatus(1, problem)


def _client(session: Session, *, known: bool) -> dict[str, Any]:
    import os

    from dockwright.client.endpoint import context_name
    from dockwright.client.exchange import MAX_VERSION

    machine = os.uname().machine
    return {
        "Version": __version__,
        "ApiVersion": session.client.version if known else MAX_VERSION,
        "DefaultAPIVersion": MAX_VERSION,
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": sys.platform,
        "Arch": _ARCHITECTURES.get(machine, machine),
        "Context": context_name(session.config, session.host, session.context),
    }


def _lines(client: dict[str, Any], server: dict[str, Any] | None) -> Iterator[str]:
    api = client["ApiVersion"]
    if api != client["DefaultAPIVersion"]:
        api += f" (downgraded from {client['DefaultAPIVersion']})"
    yield "Client: Dockwright"
    for title, value in (
        ("Version:", client["Version"]),
        ("API version:", api),
        ("Python version:", client["PythonVersion"]),
        ("OS/Arch:", f"{client['Os']}/{client['Arch']}"),
        ("Context:", client["Context"]),
    ):
        yield f" {title:<{_WIDTH}} {value}"
    if server is not None:
        yield from _server_lines(server)


def _server_lines(server: dict[str, Any]) -> Iterator[str]:
    platform = (server.get("Platform") or {}).get("Name", "")
    yield ""
    yield f"Server: {platform}".rstrip() if platform else "Server:"
    for component in server.get("Components") or [
        {"Name": "Engine", "Version": server.get("Version"), "Details": server}
    ]:
        details = component.get("Details") or {}
        yield f" {component['Name']}:"
        yield f"  {'Version:':<{_WIDTH - 1}} {component.get('Version', '')}"
        if component["Name"] == "Engine":
            yield from _engine_lines(details)
        else:
            yield from (f"  {key + ':':<{_WIDTH - 1}} {value}" for key, value in sorted(details.items()))


def _engine_lines(details: dict[str, Any]) -> Iterator[str]:
    minimum = details.get("MinAPIVersion", "")
    for title, value in (
        ("API version:", f"{details.get('ApiVersion', '')} (minimum version {minimum})"),
        ("Go version:", details.get("GoVersion", "")),
        ("Git commit:", details.get("GitCommit", "")),
        ("Built:", _clock(details.get("BuildTime", ""))),
        ("OS/Arch:", f"{details.get('Os', '')}/{details.get('Arch', '')}"),
        ("Experimental:", str(details.get("Experimental", "false")).lower()),
    ):
        if value:
            yield f"  {title:<{_WIDTH - 1}} {value}"


def _clock(text: str) -> str:
    """`Thu May  7 21:09:36 2026`, where the engine gives a time that can be read."""
    from datetime import datetime

    whole, _, rest = text.partition(".")
    try:
        return datetime.fromisoformat(whole + (rest.lstrip("0123456789") if rest else "")).strftime(
            "%a %b %e %H:%M:%S %Y"
        )
    except ValueError:
        return text


COMMAND = Command(
    ("version",),
    "Show our version, the engine's, and those of its parts",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(Flag("format", "How to print it: 'json', or a Go TEMPLATE", short="f"),),
)
