"""kill -9 at each step of what follows a build's last instruction: no image without all of it, nothing left, the next one works."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from requests.exceptions import RequestException
from tests.archives import files
from tests.host import Daemon
from tests.registries import registry
from urllib3.exceptions import HTTPError

pytestmark = pytest.mark.root

TEXT = b"FROM busybox\nRUN echo one > /one\nRUN rm /one && echo two > /two\n"
POINTS = ("build.squash", "image.product", "push.manifest")


def build(daemon: Daemon, name: str) -> str:
    """Squash, compress, name and push; what the daemon said, as far as it came."""
    client = daemon.client()
    outputs = json.dumps([{"Type": "image", "Attrs": {"name": name, "push": "true", "compression": "zstd"}}])
    try:
        query = {"squash": "1", "outputs": outputs}
        return client.api.post(client.api.base_url + "/build", params=query, data=files({"Dockerfile": TEXT})).text
    except (RequestException, HTTPError, OSError):
        return ""
    finally:
        client.close()


@pytest.mark.timeout(240)
def test_an_output_that_a_killed_daemon_was_making_leaves_nothing(own_daemon: Daemon, tmp_path: Path) -> None:
    with registry(tmp_path) as running:
        name = running.name("app:1")
        for point in POINTS:
            own_daemon.kill()
            own_daemon.environment = {"DOCKWRIGHT_FAULTS": f"{point}:kill"}
            own_daemon.start()
            assert "Successfully" not in build(own_daemon, name)
            own_daemon.kill()  # it has died by itself: this only reaps
            own_daemon.environment = {}
            own_daemon.start()
            mounts = Path("/proc/self/mountinfo").read_text()
            assert f"{own_daemon.root}/exec/builds" not in mounts
            assert os.listdir(own_daemon.root / "exec" / "builds") == []
            assert os.listdir(own_daemon.root / "data" / "build" / "contexts") == []
            assert os.listdir(own_daemon.root / "data" / "content" / "ingest") == []
        assert "Successfully" in build(own_daemon, name)
        client = own_daemon.client()
        image = client.images.get(name)
        assert len(image.attrs["RootFS"]["Layers"]) == 2
        assert client.containers.run(name, ["ls", "/"], remove=True).decode().split().count("one") == 0
        assert image.attrs["RepoDigests"] == [f"{name.rpartition(':')[0]}@{image.id}"]
        client.close()
