"""One daemon with busybox and, where it is asked for, Debian; the faces on it; and the table of what they have made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import docker
import pytest

from tests.faces import FACES, Face, Made, face
from tests.host import Daemon


@dataclass
class Table:
    """What has been built, by its name: the images of all faces have to be the same."""

    client: docker.DockerClient
    images: dict[str, str] = field(default_factory=dict)

    def is_first(self, name: str, made: Made) -> bool:
        """Whether no face has made it before; whoever did made the same image."""
        first = name not in self.images
        assert self.images.setdefault(name, made.image) == made.image, made.said
        return first

    def run(self, made: Made, *command: str) -> str:
        """What a command says in a container of the image."""
        said: bytes = self.client.containers.run(made.image, list(command) or None, remove=True, network_mode="none")
        return said.decode()


@pytest.fixture(scope="package")
def builder(scratch: Path, busybox_image: Path) -> Iterator[Daemon]:
    """A daemon of these tests, whose cache they share."""
    with Daemon(scratch / "real", f"dwq{os.getpid()}") as running:
        running.import_image(busybox_image, "busybox:latest")
        yield running


@pytest.fixture(scope="package")
def with_debian(builder: Daemon, debian: Path) -> None:
    """There is `debian:test`."""
    builder.import_image(debian, "debian:test")


@pytest.fixture(scope="package")
def table(builder: Daemon) -> Iterator[Table]:
    client = docker.DockerClient(base_url=builder.url, version="1.51", timeout=600)
    yield Table(client)
    client.close()


@pytest.fixture(params=FACES)
def by(request: pytest.FixtureRequest, builder: Daemon, tmp_path: Path) -> Face:
    """Each face in turn."""
    return face(request.param, builder.url, tmp_path / "home")
