"""`rmi`: remove images."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command, ExitStatus
from dockwright.cli.flags import Flag
from dockwright.cli.main import describe
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.platforms import all_as_json

    platforms = all_as_json(options.many("platform"))
    failed, fatal = [], False
    for name in arguments:
        call = images.remove(name, force=options.on("force"), prune=not options.on("no-prune"), platforms=platforms)
        try:
            found = session.client.json(call) or []
        except errors.DockwrightError as error:
            failed.append(describe(error))
            fatal = fatal or not isinstance(error, errors.NotFound)
            continue
        for entry in found:
            verb = "Deleted" if entry.get("Deleted") else "Untagged"
            session.line(f"{verb}: {entry.get('Deleted') or entry.get('Untagged')}")
    if failed and (fatal or not options.on("force")):
        raise ExitStatus(1, "\n".join(failed))
    if failed:
        session.error("\n".join(failed))


COMMAND = Command(
    ("image rm", "image remove", "rmi"),
    "Remove one or more images",
    "[OPTIONS] IMAGE [IMAGE...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag("force", "Even when other names or stopped containers use it", short="f", kind="bool"),
        Flag("no-prune", "Keep the unnamed images it was made of", kind="bool"),
        Flag("platform", "Only these platforms of an image that has several", kind="stringSlice", since="1.50"),
    ),
    completes=("images",),
)
