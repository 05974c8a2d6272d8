"""`network rm`: remove networks."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command, ExitStatus
from dockwright.cli.flags import Flag
from dockwright.cli.main import describe
from dockwright.client.calls import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    status = 0
    for name in arguments:
        try:
            session.client.json(networks.remove(name))
        except errors.NotFound as error:
            if not options.on("force"):
                session.error(describe(error))
                status = 1
            continue
        except errors.DockwrightError as error:
            session.error(describe(error))
            status = 1
            continue
        session.line(name)
    if status:
        raise ExitStatus(status, "exit status 1")


COMMAND = Command(
    ("network rm", "network remove"),
    "Remove one or more networks",
    "NETWORK [NETWORK...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(Flag("force", "One that is not there is no error", short="f", kind="bool"),),
    completes=("networks",),
)
