"""`unpause`: let the processes of a frozen container run again."""

from __future__ import annotations

from dockwright.cli import many
from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    many.together(session, arguments, containers.unpause)


COMMAND = Command(
    ("container unpause", "unpause"),
    "Let the processes of frozen containers run again",
    "CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    completes=("running",),
)
