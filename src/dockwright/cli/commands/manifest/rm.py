"""`manifest rm`: forget manifest lists on this machine."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command, ExitStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.manifests.store import Lists
    from dockwright.oci import reference

    lists, failed = Lists(session.config.directory), []
    for text in arguments:
        try:
            lists.remove(reference.parse(text).tagged)
        except errors.DockwrightError as error:
            failed.append(str(error))
    if failed:
        raise ExitStatus(1, "\n".join(failed))


COMMAND = Command(
    ("manifest rm",),
    "Forget manifest lists on this machine",
    "LIST [LIST...]",
    run,
    arguments=ONE_OR_MORE,
)
