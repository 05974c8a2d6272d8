"""`cp`: files and directories between a container and here."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.command import TWO, Command
from dockwright.cli.flags import Flag

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    source_container, source = split(arguments[0])
    target_container, target = split(arguments[1])
    if source_container and target_container:
        raise errors.Invalid("copying between containers is not supported")
    if not source_container and not target_container:
        raise errors.Invalid("must specify at least one container source")
    from dockwright.cli.copying import Copy

    copy = Copy(
        session,
        follow_link=options.on("follow-link"),
        keep_owner=options.on("archive"),
        quiet=options.on("quiet"),
    )
    if source_container:
        copy.from_container(source_container, source, target)
    else:
        copy.to_container(source, target_container, target)


def split(argument: str) -> tuple[str, str]:
    """`CONTAINER:PATH` as both parts; a local path has no container: `./a:b` and `/a:b` are local."""
    if argument.startswith(("/", ".")):
        return "", argument
    container, colon, path = argument.partition(":")
    return (container, path) if colon else ("", argument)


COMMAND = Command(
    ("container cp", "cp"),
    "Copy files between a container and here",
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n\tdockwright cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    run,
    arguments=TWO,
    flags=(
        Flag("archive", "Keep the owner and group of every file", short="a", kind="bool"),
        Flag("follow-link", "Copy what a symbolic link SRC_PATH points to", short="L", kind="bool"),
        Flag("quiet", "Do not tell how much was copied", short="q", kind="bool"),
    ),
    about="'-' as a local path is a tar archive on standard input or output.",
    completes=("containers+files", "containers+files"),
)
