"""`volume prune`: remove volumes that no container refers to."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.flags import Flag
from dockwright.client.calls import volumes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


_ANONYMOUS = "WARNING! This will remove anonymous local volumes not used by at least one container."
_ALL = "WARNING! This will remove all local volumes not used by at least one container."
_NAMED_ARE_KEPT = "1.42"


def run(session: Session, options: Options, arguments: list[str]) -> None:
    filters = options.filters()
    warning = _ANONYMOUS
    if options.on("all"):
        if "all" in filters:
            raise errors.Invalid("conflicting options: cannot specify both --all and --filter all=1")
        filters["all"] = ["true"]
        warning = _ALL
    elif not options.on("force") and not session.client.at_least(_NAMED_ARE_KEPT):
        warning = _ALL
    if not options.on("force") and not session.confirmed(f"{warning}\nAre you sure you want to continue?"):
        return
    found = session.client.json(volumes.prune(filters=filters))
    deleted = found.get("VolumesDeleted") or []
    if deleted:
        session.out("Deleted Volumes:\n" + "".join(f"{name}\n" for name in deleted) + "\n")
    session.line(f"Total reclaimed space: {units.size(found.get('SpaceReclaimed', 0))}")


COMMAND = Command(
    ("volume prune",),
    "Remove anonymous volumes that no container refers to",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("all", "Volumes with a name too", short="a", kind="bool", since="1.42"),
        Flag("filter", "Only volumes that match, e.g. label=tier=db or label!=keep", kind="filter"),
        Flag("force", "Do not ask", short="f", kind="bool"),
    ),
)
