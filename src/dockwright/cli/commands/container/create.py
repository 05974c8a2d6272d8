"""`create`: make a container without starting it."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE as IMAGE_AND_COMMAND
from dockwright.cli.command import PROGRAM, Command, ExitStatus
from dockwright.cli.options.container_flags import FLAGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def parsed(options: Options, arguments: list[str], name: str) -> dict[str, Any]:
    """The create request. Raises `ExitStatus` 125 with Docker's wording for options that contradict each other."""
    from dockwright.cli.main import os_error_text
    from dockwright.cli.options.assemble import request
    from dockwright.cli.options.creation import check_pull_policy

    try:
        check_pull_policy(options)
        return request(options, arguments[0], arguments[1:])
    except errors.Invalid as error:
        raise failed(str(error), name) from error
    except OSError as error:
        raise failed(os_error_text(error), name) from error


def failed(message: str, name: str, status: int = 125) -> ExitStatus:
    return ExitStatus(status, f"{PROGRAM}: {message}\n\nRun '{PROGRAM} {name} --help' for more information")


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.options.creation import create

    request = parsed(options, arguments, "create")
    if options.on("tty"):
        from dockwright.cli.terminal.raw import size

        request["HostConfig"]["ConsoleSize"] = list(size() or (0, 0))
    session.line(create(session, options, request))


COMMAND = Command(
    ("container create", "create"),
    "Create a container without starting it",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    run,
    arguments=IMAGE_AND_COMMAND,
    flags=FLAGS,
    interspersed=False,
    completes=("images", ""),
)
