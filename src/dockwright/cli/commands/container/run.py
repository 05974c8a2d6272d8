"""`run`: create a container, start it, and stay with it until it exits."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.commands.container.create import failed, parsed
from dockwright.cli.flags import Flag
from dockwright.cli.main import describe
from dockwright.cli.options.container_flags import FLAGS
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

_NOT_FOUND = ("executable file not found", "no such file or directory", "system cannot find the file specified")
_NOT_EXECUTABLE = ("permission denied", "is a directory", "exec format error")


def run(session: Session, options: Options, arguments: list[str]) -> int:
    request = parsed(options, arguments, "run")
    detach = options.on("detach")
    if detach and options.given("attach"):
        raise errors.Invalid("conflicting options: cannot specify both --attach and --detach")
    if detach:
        request.update(AttachStdin=False, AttachStdout=False, AttachStderr=False, StdinOnce=False)
    if request["Tty"] and not detach:
        from dockwright.cli.terminal.attached import check_terminal

        check_terminal(request["AttachStdin"], tty=True)
    try:
        return _run(session, options, request, detach)
    except errors.DockwrightError as error:
        raise failed(describe(error), "run", _status_of(error)) from error


def _status_of(error: errors.DockwrightError) -> int:
    """126 and 127 as a shell gives them, 125 for everything that is the engine's."""
    text = str(error).lower()
    if any(reason in text for reason in _NOT_FOUND):
        return 127
    return 126 if any(reason in text for reason in _NOT_EXECUTABLE) else 125


def _run(session: Session, options: Options, request: dict[str, Any], detach: bool) -> int:
    from dockwright.cli.options.creation import create

    stdin, tty = request["AttachStdin"], request["Tty"]
    if tty:
        from dockwright.cli.terminal.raw import size

        request["HostConfig"]["ConsoleSize"] = list(size() or (0, 0))
    container = create(session, options, request)
    if detach or not (stdin or request["AttachStdout"] or request["AttachStderr"]):
        session.client.run(containers.start(container))
        session.line(container)
        return 0
    return _attached(session, options, request, container)


def _attached(session: Session, options: Options, request: dict[str, Any], container: str) -> int:
    from dockwright.cli.terminal.attached import Attachment, join_started

    attachment = Attachment(
        container,
        tty=request["Tty"],
        stdin=request["AttachStdin"],
        stdout=request["AttachStdout"],
        stderr=request["AttachStderr"],
        detach_keys=options.text("detach-keys"),
        auto_remove=options.on("rm"),
        proxy_signals=options.on("sig-proxy"),
    )
    return join_started(session, attachment, lambda: session.client.run(containers.start(container)))


COMMAND = Command(
    ("container run", "run"),
    "Create a container from an image and run it",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        *FLAGS,
        Flag("detach", "Leave the container running in the background and print its id", short="d", kind="bool"),
        Flag("detach-keys", "Keys that leave the container running, instead of ctrl-p,ctrl-q"),
        Flag("sig-proxy", "Hand the signals we get on to the container", kind="bool", default=True),
    ),
    interspersed=False,
    completes=("images", ""),
)
