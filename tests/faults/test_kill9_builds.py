"""kill -9 of the daemon in the middle of builds: nothing of them goes on, the cache is whole, nothing is half-tagged."""

from __future__ import annotations

import io
import os
import random
import threading
import time

import docker
import pytest
from docker.errors import BuildError, DockerException, ImageNotFound
from requests.exceptions import RequestException
from tests.faults.steps import left_of_steps, running
from tests.host import Daemon
from urllib3.exceptions import HTTPError

pytestmark = pytest.mark.root

ROUNDS = 6
STEPS = 5


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


def test_a_command_of_a_killed_daemon_is_ended_by_the_next_one(own_daemon: Daemon) -> None:
    marker = f"sleep 86{os.getpid()}"
    text = f"FROM busybox\nRUN {marker}\n".encode()
    client = docker.APIClient(base_url=own_daemon.url, timeout=60)

    def begin() -> None:
        try:
            for _ in client.build(fileobj=io.BytesIO(text)):
                pass
        except (DockerException, RequestException, HTTPError, OSError):
            pass

    builder = threading.Thread(target=begin)
    builder.start()
    needle = marker.replace(" ", "\0")
    deadline = time.monotonic() + 30
    while not running(needle) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running(needle)
    own_daemon.kill()
    builder.join()
    client.close()
    own_daemon.start()
    while running(needle) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running(needle) == []
    assert left_of_steps(own_daemon) == []
