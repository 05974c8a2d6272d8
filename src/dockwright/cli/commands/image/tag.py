"""`tag`: another name for an image."""

from __future__ import annotations

from dockwright.cli.command import TWO, Command
from dockwright.client.calls import images

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dockwright.cli.flags import Options
    from dockwright.cli.session import Session


def run(session: Session, options: Options, arguments: list[str]) -> None:
    from dockwright.cli.options.creation import split_tag, with_tag

    source, target = arguments
    repository, tag = split_tag(with_tag(target))
    session.client.run(images.tag(source, repository, tag))


COMMAND = Command(
    ("image tag", "tag"),
    "Give an image another name",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    run,
    arguments=TWO,
    completes=("images", "images"),
)
