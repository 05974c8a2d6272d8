"""`kill`: send a signal to a container's main process."""

from __future__ import annotations

from dockwright.cli import many
from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    many.together(session, arguments, lambda name: containers.kill(name, signal=options.text("signal")))


COMMAND = Command(
    ("container kill", "kill"),
    "Kill one or more running containers, or send them another signal",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(Flag("signal", "Signal to send, by name or number (KILL when not given)", short="s"),),
    completes=("running",),
)
