"""`rm`: remove containers."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command, ExitStatus
from dockwright.cli.flags import Flag
from dockwright.cli.main import describe
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    force = options.on("force")
    names = [name.strip("/") for name in arguments]
    if not all(names):
        raise errors.Invalid("container name cannot be empty")
    calls = [
        containers.remove(name, force=force, volumes=options.on("volumes"), link=options.on("link")) for name in names
    ]
    failed = False
    for name, error in zip(names, session.client.run_together(calls), strict=True):
        if error is None:
            session.line(name)
            continue
        session.error(describe(error))
        failed = failed or not (force and isinstance(error, errors.NotFound))
    if failed:
        raise ExitStatus(1)


COMMAND = Command(
    ("container rm", "container remove", "rm"),
    "Remove one or more containers",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(
        Flag("force", "Kill a running container first; one that does not exist is no error", short="f", kind="bool"),
        Flag("link", "Remove the link of this name, not the container", short="l", kind="bool"),
        Flag("volumes", "Remove the anonymous volumes of the container too", short="v", kind="bool"),
    ),
    completes=("containers",),
)
