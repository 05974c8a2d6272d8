"""`top`: the processes of a container."""

from __future__ import annotations

from dockwright.cli.command import ONE_OR_MORE, Command
from dockwright.cli.display.columns import align
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    container, *ps_arguments = arguments
    found = session.client.json(containers.top(container, ps_args=" ".join(ps_arguments)))
    rows = [found["Titles"], *(found["Processes"] or [])]
    session.out(align("\n".join("\t".join(row) for row in rows) + "\n", min_width=20, padding=3))


COMMAND = Command(
    ("container top", "top"),
    "Show the processes of a container",
    "CONTAINER [ps OPTIONS]",
    run,
    arguments=ONE_OR_MORE,
    interspersed=False,
    completes=("running", ""),
)
