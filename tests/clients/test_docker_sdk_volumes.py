"""Volumes with the Docker SDK for Python, and many at once."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator

import docker as sdk
import pytest
from docker.errors import APIError, NotFound

from tests.clients.conftest import Containers
from tests.host import Daemon

pytestmark = pytest.mark.root


@pytest.fixture
def name(client: sdk.DockerClient, containers: Containers) -> Iterator[str]:
    chosen = f"sdk-{uuid.uuid4().hex[:10]}"
    yield chosen
    containers.remove_all()
    for volume in client.volumes.list(filters={"name": chosen}):
        volume.remove(force=True)


def test_volumes_are_objects(client: sdk.DockerClient, containers: Containers, name: str) -> None:
    made = client.volumes.create(name, driver="local", labels={"tier": "db"})
    assert client.volumes.get(name).attrs == made.attrs
    assert [volume.name for volume in client.volumes.list(filters={"label": "tier=db", "name": name})] == [name]
    assert client.volumes.list(filters={"driver": "nosuch"}) == []
    containers.output("touch", "/v/file", volumes={name: {"bind": "/v", "mode": "rw"}})
    assert client.volumes.list(filters={"dangling": False, "name": name})
    assert client.volumes.list(filters={"dangling": True, "name": name}) == []
    with pytest.raises(APIError) as refused:
        made.remove()
    assert refused.value.status_code == 409
    containers.remove_all()
    made.remove()
    with pytest.raises(NotFound):
        client.volumes.get(name)


def test_mounts_of_every_kind(client: sdk.DockerClient, containers: Containers, name: str) -> None:
    mounts = [
        sdk.types.Mount("/v", name, type="volume", labels={"made": "here"}, no_copy=True),
        sdk.types.Mount("/t", None, type="tmpfs", tmpfs_size="1m", tmpfs_mode=0o711),
        sdk.types.Mount("/b", "/tmp", type="bind", read_only=True),
    ]
    said = containers.output("stat", "-c", "%a", "/t", mounts=mounts)
    assert said == "711\n"
    assert client.volumes.get(name).attrs["Labels"] == {"made": "here"}


def test_usage_and_prune(client: sdk.DockerClient, containers: Containers, name: str) -> None:
    client.volumes.create(name, labels={name: ""})
    containers.output("dd", "if=/dev/zero", "of=/v/file", "bs=4096", "count=2", volumes=[f"{name}:/v"])
    (row,) = [volume for volume in client.df()["Volumes"] if volume["Name"] == name]
    assert row["UsageData"] == {"Size": 8192, "RefCount": 1}
    containers.remove_all()
    assert client.volumes.prune(filters={"label": name})["VolumesDeleted"] == []
    pruned = client.volumes.prune(filters={"label": name, "all": True})
    assert pruned == {"VolumesDeleted": [name], "SpaceReclaimed": 8192}


def test_an_older_client_prunes_named_volumes_and_has_its_read_only_binds_flat(daemon: Daemon, name: str) -> None:
    client = sdk.DockerClient(base_url=daemon.url, version="1.41", timeout=60)
    try:
        client.volumes.create(name, labels={name: ""})
        assert client.volumes.prune(filters={"label": name})["VolumesDeleted"] == [name]
    finally:
        client.close()


def test_containers_that_come_and_go_never_lose_a_volume_and_removals_never_take_a_used_one(
    daemon: Daemon, name: str
) -> None:
    """Some make containers on a few shared volumes, others remove the volumes: each create either works or is refused whole."""
    wrong: list[str] = []

    def work(seed: int) -> None:
        choose = random.Random(seed)
        client = daemon.client()
        try:
            for _ in range(12):
                volume = f"{name}-{choose.randrange(2)}"
                if choose.random() < 0.4:
                    try:
                        client.api.remove_volume(volume)
                    except APIError as error:
                        if error.status_code not in (404, 409):
                            wrong.append(str(error))
                    continue
                host = client.api.create_host_config(binds=[f"{volume}:/home"], network_mode="none", auto_remove=False)
                made = client.api.create_container("busybox", ["test", "-e", "/home/app/.profile"], host_config=host)
                client.api.start(made["Id"])
                if client.api.wait(made["Id"])["StatusCode"]:
                    wrong.append(f"{volume} was not whole")
                client.api.remove_container(made["Id"])
        except APIError as error:
            wrong.append(str(error))
        finally:
            client.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
