"""`pull`: fetch an image, or all of a repository, from a registry."""

from __future__ import annotations

import os

from dockwright import errors
from dockwright.cli.command import ONE, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.oci import reference

    name = reference.parse(arguments[0])
    if options.on("all-tags") and (name.tag or name.digest):
        raise errors.Invalid("tag can't be used with --all-tags/-a")
    if not options.on("all-tags"):
        if not (name.tag or name.digest or options.on("quiet")):
            session.line(f"Using default tag: {reference.DEFAULT_TAG}")
        name = name.tagged
    platform = options.text("platform") or os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    pull(session, name.familiar_name, name.digest or name.tag or "", name.domain, platform, quiet=options.on("quiet"))
    session.line(str(name))


def pull(
    session: Session, name: str, tag: str, registry: str, platform: str, *, quiet: bool, to_stderr: bool = False
) -> None:
    """Have the engine pull, and show how it goes. An empty tag means all."""
    from dockwright.cli.display.progress import show
    from dockwright.cli.registry_auth import header

    call = images.pull(name, tag=tag, platform=platform, auth=header(session, registry))
    show(session, session.client.send(call).values(), quiet=quiet, to_stderr=to_stderr)


COMMAND = Command(
    ("image pull", "pull"),
    "Fetch an image from a registry",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    run,
    arguments=ONE,
    flags=(
        Flag("all-tags", "All tags of the repository", short="a", kind="bool"),
        Flag("platform", "Platform of an image that has several, e.g. linux/arm64", since="1.32"),
        Flag("quiet", "Print the name only", short="q", kind="bool"),
    ),
    completes=("images",),
)
