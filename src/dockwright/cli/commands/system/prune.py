"""`system prune`: remove everything nobody needs."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import NO_ARGUMENTS, Command
from dockwright.cli.display import units
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers, images, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session
    from dockwright.client.call import Call

    Filters = dict[str, list[str]]


def run(session: Session, options: Options, arguments: list[str]) -> None:
    filters = options.filters()
    if options.on("volumes") and "until" in filters:
        raise errors.Invalid('ERROR: The "until" filter is not supported with "--volumes"')
    if not options.on("force") and not session.confirmed(warning(options, filters)):
        return
    reclaimed = 0
    for title, call in _steps(options, filters):
        try:
            found = session.client.json(call) or {}
        except (errors.NotFound, errors.Unsupported):
            continue  # an engine without this kind of thing has nothing of it to remove
        lines = _removed(found)
        if lines:
            session.out(f"Deleted {title}:\n" + "".join(f"{line}\n" for line in lines) + "\n")
        reclaimed += found.get("SpaceReclaimed", 0)
    session.line(f"Total reclaimed space: {units.size(reclaimed)}")


def warning(options: Options, filters: Filters) -> str:
    """What will be removed, to be confirmed."""
    things = ["all stopped containers", "all networks not used by at least one container"]
    if options.on("volumes"):
        things.append("all anonymous volumes not used by at least one container")
    if options.on("all"):
        things += ["all images without at least one container associated to them", "all build cache"]
    else:
        things += ["all dangling images", "unused build cache"]
    text = "WARNING! This will remove:\n" + "".join(f"  - {thing}\n" for thing in things)
    if filters:
        pairs = sorted(f"{name}={value}" for name, values in filters.items() for value in values)
        text += "\n  Items to be pruned will be filtered with:\n" + "".join(f"  - {pair}\n" for pair in pairs)
    return text + "\nAre you sure you want to continue?"


def _steps(options: Options, filters: Filters) -> list[tuple[str, Call]]:
    dangling = {**filters, "dangling": ["false" if options.on("all") else "true"]}
    steps = [
        ("Containers", containers.prune(filters=filters)),
        ("Networks", system.prune("networks", filters=filters)),
    ]
    if options.on("volumes"):
        steps.append(("Volumes", system.prune("volumes", filters=filters)))
    steps.append(("Images", images.prune(filters=dangling)))
    cache = {name: values for name, values in filters.items() if name == "until"}
    steps.append(("build cache objects", system.prune("build", filters=cache, all=options.on("all"))))
    return steps


def _removed(found: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for key in ("ContainersDeleted", "NetworksDeleted", "VolumesDeleted", "CachesDeleted"):
        lines += found.get(key) or []
    for entry in found.get("ImagesDeleted") or []:
        lines.append(f"untagged: {entry['Untagged']}" if entry.get("Untagged") else f"deleted: {entry['Deleted']}")
    return lines


COMMAND = Command(
    ("system prune",),
    "Remove containers, networks, images and build cache nobody needs",
    "[OPTIONS]",
    run,
    arguments=NO_ARGUMENTS,
    flags=(
        Flag("all", "Every image no container uses, not only those without a name", short="a", kind="bool"),
        Flag("filter", "Only what matches, e.g. until=24h or label=tier=db", kind="filter"),
        Flag("force", "Do not ask", short="f", kind="bool"),
        Flag("volumes", "Anonymous volumes too", kind="bool"),
    ),
)
