"""Fixtures of the tests with other people's clients."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker as sdk
import pytest
from docker.models.containers import Container

from tests.clients.dockercommand import Client
from tests.debianclients import SUITES, debian_clients
from tests.host import Daemon


class Containers:
    """Containers of one test, made with the Docker SDK and removed at its end."""

    def __init__(self, client: sdk.DockerClient) -> None:
        self.client = client
        self.mark = uuid.uuid4().hex

    def run(self, *command: str, image: str = "busybox", **options: object) -> Container:
        """Start one, detached."""
        options.setdefault("network_mode", "none")
        labels = {"test": self.mark} | dict(options.pop("labels", {}))  # type: ignore[call-overload]
        return self.client.containers.run(
            image, list(command) or ["sleep", "1000"], detach=True, labels=labels, **options
        )

    def create(self, *command: str, image: str = "busybox", **options: object) -> Container:
        options.setdefault("network_mode", "none")
        labels = {"test": self.mark} | dict(options.pop("labels", {}))  # type: ignore[call-overload]
        return self.client.containers.create(image, list(command) or ["sleep", "1000"], labels=labels, **options)

    def output(self, *command: str, **options: object) -> str:
        """Run one to its end; what it said on stdout and stderr."""
        found = self.run(*command, **options)
        ended = found.wait()
        said = found.logs().decode()
        assert ended["StatusCode"] == 0, f"{command}: {ended}: {said}"
        return said

    def remove_all(self) -> None:
        for entry in self.client.api.containers(all=True, filters={"label": f"test={self.mark}"}):
            self.client.api.remove_container(entry["Id"], force=True, v=True)


@pytest.fixture
def client(daemon: Daemon) -> Iterator[sdk.DockerClient]:
    """The Docker SDK for Python over the shared daemon."""
    found = daemon.client()
    yield found
    found.close()


@pytest.fixture
def containers(client: sdk.DockerClient) -> Iterator[Containers]:
    found = Containers(client)
    yield found
    found.remove_all()


@pytest.fixture
def dockers(daemon: Daemon, tmp_path: Path) -> Callable[[str], Client]:
    """Makes the docker command of a suite of Debian's, or with `host` this host's, with the plugins of the newest suite."""

    def made(whose: str) -> Client:
        programs = debian_clients(whose if whose in SUITES else SUITES[-1])
        docker = str(programs.docker) if whose in SUITES else shutil.which("docker")
        if docker is None:
            pytest.skip("the docker command is missing")
        config = tmp_path / "config"
        (config / "cli-plugins").mkdir(parents=True)
        for plugin in programs.plugins.iterdir():
            (config / "cli-plugins" / plugin.name).symlink_to(plugin)
        (tmp_path / "context").mkdir()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DOCKER_CONFIG": str(config),
            "DOCKER_HOST": daemon.url,
            "BUILDX_CONFIG": str(tmp_path / "buildx"),
        }
        return Client(docker, environment, tmp_path / "context")

    return made


@pytest.fixture
def no_images_left(daemon: Daemon) -> Iterator[None]:
    """The shared daemon has the images that it had."""
    sdk = daemon.client()
    before = {image.id for image in sdk.images.list(all=True)}
    yield
    for image in sdk.images.list(all=True):
        if image.id not in before:
            sdk.images.remove(image.id, force=True)
    sdk.close()
