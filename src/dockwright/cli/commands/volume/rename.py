"""`volume rename`: give a volume another name."""

from __future__ import annotations

from dockwright.cli.command import TWO, Command
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    session.client.run(volumes.rename(*arguments))


COMMAND = Command(
    ("volume rename",),
    "Give a volume another name; containers that use it go on with it",
    "VOLUME NEW_NAME",
    run,
    arguments=TWO,
    completes=("volumes",),
)
