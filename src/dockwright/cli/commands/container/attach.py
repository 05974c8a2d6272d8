"""`attach`: join our terminal or pipes to a container that runs."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> int:
    from dockwright.cli.terminal.attached import Attachment, stay_attached

    found = session.client.json(containers.inspect(arguments[0]))
    state, config = found["State"], found["Config"]
    for status, advice in (
        (not state["Running"], "cannot attach to a stopped container, start it first"),
        (state.get("Paused"), "cannot attach to a paused container, unpause it first"),
        (state.get("Restarting"), "cannot attach to a restarting container, wait until it is running"),
    ):
        if status:
            raise errors.Conflict(advice)
    return stay_attached(
        session,
        Attachment(
            found["Id"],
            tty=config["Tty"],
            stdin=not options.on("no-stdin") and config["OpenStdin"],
            detach_keys=options.text("detach-keys"),
            proxy_signals=options.on("sig-proxy") and not config["Tty"],
        ),
    )


COMMAND = Command(
    ("container attach", "attach"),
    "Join standard input, output and error to those of a running container",
    "[OPTIONS] CONTAINER",
    run,
    arguments=ONE,
    flags=(
        Flag("detach-keys", "Keys that leave the container running, instead of ctrl-p,ctrl-q"),
        Flag("no-stdin", "Leave our standard input alone", kind="bool"),
        Flag("sig-proxy", "Hand the signals we get on to the container", kind="bool", default=True),
    ),
    completes=("running",),
)
