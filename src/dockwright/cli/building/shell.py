"""`--on-fail shell`: a shell in what a failed step left, with the step's environment and directory."""

from __future__ import annotations

from dockwright import errors
from dockwright.cli.building.failing import Kept
from dockwright.cli.session import Session
from dockwright.client.calls import images
from dockwright.client.errors import ResponseError


def look_into(session: Session, kept: Kept) -> None:
    """Run the shell in this terminal; what was kept goes with it."""
    from dockwright.cli import index
    from dockwright.cli.main import execute

    found = index.find(["run"])
    assert found is not None
    session.error(f"A shell in what the step left follows; leave it with 'exit'. (The files are those of {kept.image})")
    try:
        execute(session, found[0], "run", ["--rm", "-it", "--entrypoint", "/bin/sh", kept.image])
    finally:
        try:
            session.client.run(images.remove(kept.image, force=True))
        except (ResponseError, errors.Unavailable) as error:
            session.error(f"the image {kept.image} of the failed step stays: {error}")
