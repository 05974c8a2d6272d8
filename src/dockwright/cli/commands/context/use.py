"""`context use`: speak to another engine from now on."""

from __future__ import annotations

import os

from dockwright.cli.command import ONE, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.client.contexts import Store, check_name

    name, config = arguments[0], session.config
    if name != "default":
        check_name(name)
        Store(config.directory).get(name)
    if name == "default":
        config.values.pop("currentContext", None)
    else:
        config.values["currentContext"] = name
    if name != "default" or os.path.exists(os.path.join(config.directory, "config.json")):
        config.save()
    session.line(name)
    session.error(f'Current context is now "{name}"')
    if name != "default" and os.environ.get("DOCKER_HOST"):
        session.error(
            f'Warning: DOCKER_HOST environment variable overrides the active context. To use "{name}", either set the '
            "global --context flag, or unset DOCKER_HOST environment variable."
        )


COMMAND = Command(
    ("context use",),
    "Speak to another engine from now on",
    "CONTEXT",
    run,
    arguments=ONE,
    completes=("contexts",),
)
