"""kill -9 of the daemon in the middle of builds: nothing of them goes on, the cache is whole, nothing is half-tagged."""

from __future__ import annotations

import hashlib
import io
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import BuildError, DockerException, ImageNotFound
from requests.exceptions import RequestException
from tests.cutting import Wire
from tests.faults.steps import LIMIT_S, On, context, left_of_steps, running, wait_until
from tests.host import Daemon
from urllib3.exceptions import HTTPError

pytestmark = pytest.mark.root

ROUNDS = 6
STEPS = 5
POINTS = ("build.mount", "build.run", "snapshot.layer", "content.sync", "content.rename")


def dockerfile(number: int) -> bytes:
    steps = "".join(f"RUN echo {number} {step} >> /log; sleep 0.05\n" for step in range(STEPS))
    return f"FROM busybox\n{steps}".encode()


def build(daemon: Daemon, number: int) -> None:
    client = daemon.client()
    try:
        client.images.build(fileobj=io.BytesIO(dockerfile(number)), tag=f"round:{number}")
    except (BuildError, DockerException, RequestException, HTTPError, OSError):
        pass
    finally:
        client.close()


@pytest.mark.timeout(240)
def test_builds_that_a_killed_daemon_ran_leave_nothing(own_daemon: Daemon) -> None:
    for number in range(ROUNDS):
        builder = threading.Thread(target=build, args=(own_daemon, number))
        builder.start()
        time.sleep(random.uniform(0.1, 1.2))
        own_daemon.kill()
        builder.join()
        own_daemon.start()
        assert left_of_steps(own_daemon) == []
        client = own_daemon.client()
        try:
            client.images.get(f"round:{number}")
        except ImageNotFound:
            pass  # it had not come so far
        client.images.build(fileobj=io.BytesIO(dockerfile(number)), tag=f"round:{number}")
        said = client.containers.run(f"round:{number}", ["cat", "/log"], remove=True)
        assert said.decode() == "".join(f"{number} {step}\n" for step in range(STEPS))
        client.close()


@pytest.fixture
def client(own_daemon: Daemon) -> Iterator[docker.DockerClient]:
    """Opens its connections anew when it finds them broken."""
    found = own_daemon.client()
    yield found
    found.close()


def test_a_command_of_a_killed_daemon_is_ended_by_the_next_one(
    by: On, own_daemon: Daemon, client: docker.DockerClient, tmp_path: Path
) -> None:
    face = by(own_daemon.url)
    marker = f"sleep\x0086{os.getpid()}"
    first = "FROM busybox\nRUN echo first > /first\n"
    where = context(tmp_path / "c", {"Dockerfile": first + f"RUN {marker.replace(chr(0), ' ')}\n"})
    with face.started("-t", "killed:1", where) as building:
        wait_until(lambda: running(marker))
        own_daemon.kill()
        assert building.wait(LIMIT_S) != 0
    own_daemon.start()
    wait_until(lambda: not running(marker))
    assert left_of_steps(own_daemon) == []
    with pytest.raises(ImageNotFound):
        client.images.get("killed:1")
    assert face.build(context(tmp_path / "c", {"Dockerfile": first})).cached == 1, "what was done is not done again"


def test_a_context_that_a_killed_daemon_was_sent_is_sent_again(
    by: On, own_daemon: Daemon, client: docker.DockerClient, tmp_path: Path, scratch: Path
) -> None:
    content = os.urandom(12 << 20)
    text = "FROM busybox\nCOPY . /c\nRUN cat /c/big /c/later | sha256sum > /sum\n"
    where = context(tmp_path / "c", {"Dockerfile": text, "big": content, "later": "and more"})
    with Wire(scratch / "killing", own_daemon.socket, limit=4 << 20, act=own_daemon.kill) as wire:
        by(wire.url).refusal("-t", "killed:1", where)
        assert wire.broken.is_set()
    (scratch / "killing").unlink()
    own_daemon.start()
    assert left_of_steps(own_daemon) == []
    assert sum(one["Size"] for one in client.api.df()["BuildCache"]) < 1 << 20, "half a copy is no copy"
    with pytest.raises(ImageNotFound):
        client.images.get("killed:1")
    made = by(own_daemon.url).build(where)
    said = client.containers.run(made.image, ["cat", "/sum"], remove=True, network_mode="none")
    assert said.decode().split()[0] == hashlib.sha256(content + b"and more").hexdigest()


@pytest.mark.timeout(240)
def test_a_build_killed_at_any_step_is_made_by_the_next_one(
    by: On, own_daemon: Daemon, client: docker.DockerClient, tmp_path: Path
) -> None:
    for number, point in enumerate(POINTS):
        own_daemon.kill()
        own_daemon.environment = {"DOCKWRIGHT_FAULTS": f"{point}:kill"}
        own_daemon.start()
        text = f"FROM busybox\nCOPY a.txt /a\nRUN echo {number} > /number\n"
        where = context(tmp_path / "c", {"Dockerfile": text, "a.txt": f"a{number} "})
        by(own_daemon.url).refusal("-t", "killed:1", where)
        own_daemon.kill()  # it has died by itself: this only reaps
        own_daemon.environment = {}
        own_daemon.start()
        assert left_of_steps(own_daemon) == []
        with pytest.raises(ImageNotFound):
            client.images.get("killed:1")
        made = by(own_daemon.url).build("-t", "killed:1", where)
        said = client.containers.run(made.image, ["cat", "/a", "/number"], remove=True, network_mode="none")
        assert said.decode() == f"a{number} {number}\n"
        client.images.remove("killed:1")


def test_a_build_killed_while_it_shares_files_is_made_by_the_next_one(
    by: On, own_daemon: Daemon, tmp_path: Path
) -> None:
    files: dict[str, str | bytes] = {f"f{number}": f"{number}" for number in range(50)}
    where = context(tmp_path / "c", files | {"Dockerfile": "FROM busybox\nWORKDIR /c\nCOPY f* ./\n"})
    by(own_daemon.url).build("-t", "shared:1", where)
    (tmp_path / "c/f7").write_text("changed")
    own_daemon.kill()
    own_daemon.environment = {"DOCKWRIGHT_FAULTS": "build.share:kill"}
    own_daemon.start()
    by(own_daemon.url).refusal("-t", "shared:2", where)
    own_daemon.kill()  # it has died by itself: this only reaps
    own_daemon.environment = {}
    own_daemon.start()
    assert left_of_steps(own_daemon) == []
    again = by(own_daemon.url).build(where)
    assert again.image == by(own_daemon.url).build("--no-cache", where).image
