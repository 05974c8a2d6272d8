"""`network prune`: remove every network that no container is on."""

from __future__ import annotations

from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session

WARNING = (
    "WARNING! This will remove all custom networks not used by at least one container.\n"
    "Are you sure you want to continue?"
)


def run(session: Session, options: Options, arguments: list[str]) -> None:
    if not options.on("force") and not session.confirmed(WARNING):
        return
    found = session.client.json(networks.prune(filters=options.filters())) or {}
    deleted = found.get("NetworksDeleted") or []
    if deleted:
        session.out("Deleted Networks:\n" + "".join(f"{name}\n" for name in deleted) + "\n")


COMMAND = Command(
    ("network prune",),
    "Remove all networks that no container is on",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("filter", "Only networks that match, e.g. until=24h or label=tier=db", kind="filter"),
        Flag("force", "Do not ask", short="f", kind="bool"),
    ),
)
