"""`info`: the engine, its host and its settings."""

from __future__ import annotations

from dockwright import __version__, errors
from dockwright.cli.command import NO_ARGUMENTS, Command, ExitStatus
from dockwright.cli.flags import Flag
from dockwright.cli.main import describe
from dockwright.client.calls import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client.endpoint import context_name

    client = {
        "Debug": session.debug,
        "Version": __version__,
        "Context": context_name(session.config, session.host, session.context),
        "Plugins": [],
        "Warnings": None,
    }
    found: dict[str, Any] = {}
    problem = ""
    try:
        found = session.client.json(system.info())
    except errors.DockwrightError as error:
        problem = describe(error)
    if options.text("format"):
        from dockwright.cli.display.templated import render_one

        shown = {**found, **({"ServerErrors": [problem]} if problem else {}), "ClientInfo": client}
        session.line(render_one(options.text("format"), shown))
    else:
        from dockwright.cli.display.engine_info import text

        session.out(text(client, found))
        for warning in found.get("Warnings") or ():
            session.error(warning)
    if problem:
        raise ExitStatus(1, problem)


COMMAND = Command(
    ("system info", "info"),
    "Show the engine, its host and its settings",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(Flag("format", "How to print it: 'json', or a Go TEMPLATE", short="f"),),
)
