"""`import`: an image out of a tar archive of a file system."""

from __future__ import annotations

import os

from dockwright.cli.command import Arguments, Command
from dockwright.cli.flags import Flag
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.archives import upload
    from dockwright.cli.display.progress import show
    from dockwright.cli.options.creation import split_tag

    source, *reference = arguments
    repository, tag = split_tag(reference[0]) if reference else ("", "")
    local = source == "-" or "://" not in source or os.path.exists(source)
    call = images.import_archive(
        upload("" if source == "-" else source, what="import") if local else None,
        source="-" if local else source,
        repository=repository,
        tag=tag,
        message=options.text("message"),
        changes=options.many("change"),
        platform=options.text("platform"),
    )
    show(session, session.client.send(call).values())


COMMAND = Command(
    ("image import", "import"),
    "Make an image of a tar archive of a file system",
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    run,
    arguments=Arguments(1, 2),
    flags=(
        Flag("change", "Apply a Dockerfile instruction to the image, e.g. 'CMD [\"sh\"]'", short="c", kind="list"),
        Flag("message", "What it is", short="m"),
        Flag("platform", "Platform of the file system, e.g. linux/arm64", since="1.32"),
    ),
    completes=("files", "images"),
)
