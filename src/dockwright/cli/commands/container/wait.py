"""`wait`: until containers stop, then their exit codes."""

from __future__ import annotations

from dockwright.cli import many
from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.terminal.join import exit_status

    many.one_by_one(
        session, arguments, lambda name: str(exit_status(session.client.send(containers.wait(name)).read()))
    )


COMMAND = Command(
    ("container wait", "wait"),
    "Wait until containers stop, then print their exit codes",
    "CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    completes=("running",),
)
