"""`events`: what happens in the engine, as it happens."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command, ExitStatus
from dockwright.cli.flags import Flag
from dockwright.client.calls import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    show = _printer(options.text("format"))
    call = system.events(since=_moment(options, "since"), until=_moment(options, "until"), filters=options.filters())
    for event in session.client.send(call).values():
        session.line(show(event))


def _moment(options: Options, name: str) -> str:
    if not options.text(name):
        return ""
    from dockwright.cli.moments import epoch_text

    return epoch_text(options.text(name), name)


def _printer(format: str) -> Callable[[Any], str]:
    if not format:
        return line
    from dockwright.cli.display.inspection import typed
    from dockwright.cli.template import ExecutionError, ParseError, Template
    from dockwright.client import wirejson

    if format == "json":
        return wirejson.encode
    try:
        template = Template(format.replace("\\t", "\t").replace("\\n", "\n"), strict=True)
    except ParseError as error:
        raise ExitStatus(64, f"Error parsing format: {error}") from error

    def rendered(event: Any) -> str:
        try:
            return template.render(typed(_complete(event)))
        except ExecutionError as error:
            raise ExitStatus(1, str(error)) from error

    return rendered


def _complete(event: dict[str, Any]) -> dict[str, Any]:
    """The names of before API 1.22 (`ID`, `From`, `Status`) stay usable where an engine no longer sends them."""
    actor = event.get("Actor") or {}
    image = (actor.get("Attributes") or {}).get("image", "")
    return {"status": event.get("Action", ""), "id": actor.get("ID", ""), "from": image, **event}


def line(event: dict[str, Any]) -> str:
    """An event as a line: time, kind, action, id, and its attributes in parentheses."""
    from dockwright.cli.display import units

    moment = event.get("timeNano") or event.get("time", 0) * 10**9
    actor = event.get("Actor") or {}
    text = f"{units.rfc3339_nano(moment)} {event.get('Type', '')} {event.get('Action', '')} {actor.get('ID', '')}"
    attributes = actor.get("Attributes") or {}
    if not attributes:
        return text
    return text + " (" + ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes)) + ")"


COMMAND = Command(
    ("system events", "events"),
    "Print what happens in the engine, as it happens",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag(
            "filter", "Only events that match, e.g. type=container, event=die, label=tier=db", short="f", kind="filter"
        ),
        Flag("format", "How to print an event: 'json', or a Go TEMPLATE"),
        Flag("since", 'Events of the past too, from this time ("2026-01-02T13:23:37Z") or this long ago ("42m")'),
        Flag("until", "Quit at this time, or this long ago"),
    ),
)
