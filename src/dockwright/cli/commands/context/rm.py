"""`context rm`: forget engines."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import ONE_OR_MORE, Command, ExitStatus
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    failed = []
    for name in arguments:
        try:
            _remove(session, name, force=options.on("force"))
        except errors.DockwrightError as error:
            failed.append(str(error))
        else:
            session.line(name)
    if failed:
        raise ExitStatus(1, "\n".join(failed))


def _remove(session: Session, name: str, *, force: bool) -> None:
    from dockwright.client.contexts import Store
    from dockwright.client.endpoint import context_name

    if name == "default":
        raise errors.Conflict('context "default" cannot be removed')
    config = session.config
    if name == context_name(config, session.host, session.context):
        if not force:
            raise errors.InUse(f'context "{name}" is in use, set -f flag to force remove')
        if config.values.pop("currentContext", None) is not None:
            config.save()
    try:
        Store(config.directory).remove(name)
    except errors.NotFound:
        if not force:
            raise


COMMAND = Command(
    ("context rm", "context remove"),
    "Forget one or more contexts",
    "CONTEXT [CONTEXT...]",
    run,
    arguments=ONE_OR_MORE,
    flags=(Flag("force", "Even the one in force; one that does not exist is no error", short="f", kind="bool"),),
    completes=("contexts",),
)
