"""`network disconnect`: take a container off a network."""

from __future__ import annotations

from dockwright.cli.command import TWO, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    network, container = arguments
    session.client.json(networks.disconnect(network, container, force=options.on("force")))


COMMAND = Command(
    ("network disconnect",),
    "Take a container off a network",
    "[OPTIONS] NETWORK CONTAINER",
    run,
    arguments=TWO,
    flags=(Flag("force", "Even when the container's end of it is gone", short="f", kind="bool"),),
    completes=("networks", "containers"),
)
