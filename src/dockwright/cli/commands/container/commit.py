"""`commit`: a new image from what a container changed."""

from __future__ import annotations

from dockwright.cli.command import Arguments, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import containers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.options.creation import split_tag

    container, *reference = arguments
    repository, tag = split_tag(reference[0]) if reference else ("", "")
    call = containers.commit(
        container,
        repository=repository,
        tag=tag,
        author=options.text("author"),
        comment=options.text("message"),
        changes=options.many("change"),
        pause=options.on("pause") and not options.on("no-pause"),
    )
    session.line(session.client.json(call)["Id"])


COMMAND = Command(
    ("container commit", "commit"),
    "Make an image of what a container changed",
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    run,
    arguments=Arguments(1, 2),
    flags=(
        Flag("author", 'Who made it, e.g. "Ada Lovelace <ada@example.org>"', short="a"),
        Flag("change", "Apply a Dockerfile instruction to the image, e.g. 'CMD [\"sh\"]'", short="c", kind="list"),
        Flag("message", "What was done", short="m"),
        Flag("no-pause", "Let the container run meanwhile", kind="bool"),
        Flag("pause", "Freeze the container meanwhile", short="p", kind="bool", default=True, hidden=True),
    ),
    completes=("containers", "images"),
)
