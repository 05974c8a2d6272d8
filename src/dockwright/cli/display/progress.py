"""The progress of a pull, push, load or import: a line an event in a file, one line a layer in a terminal."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.session import STDERR, STDOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from dockwright.cli.session import Session


def show(session: Session, values: Iterable[Any], *, quiet: bool = False, to_stderr: bool = False) -> list[Any]:
    """Print `values` as they arrive; returns those that carry a result (`aux`). Raises `errors.HostFailure` for an error."""
    descriptor = STDERR if to_stderr else STDOUT
    if quiet or not os.isatty(descriptor):
        return _show_plain(session, descriptor, values, quiet=quiet)
    from dockwright.cli.display.screen import Screen

    results = []
    with Screen(lambda text: session.write(descriptor, text), descriptor) as screen:
        for value in values:
            if (result := _result(value)) is not None:
                results.append(result)
            elif value.get("id") and "stream" not in value:
                screen.update(value)
            else:
                screen.line(line(value).rstrip("\n"))
    return results


def _show_plain(session: Session, descriptor: int, values: Iterable[Any], *, quiet: bool) -> list[Any]:
    results = []
    for value in values:
        if (result := _result(value)) is not None:
            results.append(result)
        elif not quiet and not value.get("progressDetail"):
            session.write(descriptor, line(value).encode("utf-8", "surrogateescape"))
    return results


def _result(value: dict[str, Any]) -> Any:
    """What `value` carries for programs, `None` where it is for people. Raises what went wrong."""
    problem = (value.get("errorDetail") or {}).get("message") or value.get("error")
    if problem:
        raise errors.HostFailure(problem)
    return value.get("aux")


def line(value: dict[str, Any]) -> str:
    """One message as a line of text, ended where it says so itself or is a status."""
    if "stream" in value:
        return str(value["stream"])
    name = f"{value['id']}: " if value.get("id") else ""
    return f"{name}{value.get('status', '')}\n"
