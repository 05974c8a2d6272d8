"""The Docker SDK for Python: logs, attach, exec, archives, images."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import tarfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlencode

import docker as sdk
import pytest
from docker.errors import APIError, ImageNotFound
from docker.models.containers import Container

from tests.api.wire import hijacked
from tests.archives import member, tar_of
from tests.clients.conftest import Containers

pytestmark = pytest.mark.root

TALKER = "echo one; echo two >&2; echo three; sleep 0.05; echo four"


@pytest.fixture
def talked(containers: Containers) -> Container:
    found = containers.run("sh", "-c", TALKER)
    found.wait()
    return found


def test_logs_of_both_streams_and_of_one(talked: Container) -> None:
    assert sorted(talked.logs().split()) == [b"four", b"one", b"three", b"two"]
    assert talked.logs(stderr=False) == b"one\nthree\nfour\n"
    assert talked.logs(stdout=False) == b"two\n"


def test_logs_tail_and_timestamps(talked: Container) -> None:
    assert talked.logs(stderr=False, tail=1) == b"four\n"
    assert talked.logs(tail=0) == b""
    stamped = talked.logs(stderr=False, timestamps=True).decode().splitlines()
    assert [line.split(" ", 1)[1] for line in stamped] == ["one", "three", "four"]
    stamps = [datetime.fromisoformat(line.split(" ")[0][:26] + "+00:00") for line in stamped]
    assert stamps == sorted(stamps)
    assert all(len(line.split(" ")[0]) == len("2026-01-01T00:00:00.000000000Z") for line in stamped)


def test_logs_since_and_until(talked: Container) -> None:
    stamped = talked.logs(stderr=False, timestamps=True).decode().splitlines()
    last = datetime.fromisoformat(stamped[-1].split(" ")[0][:26] + "+00:00").timestamp()
    assert talked.logs(stderr=False, since=last - 0.02) == b"four\n"
    assert talked.logs(stderr=False, until=last - 0.02) == b"one\nthree\n"
    assert talked.logs(since=int(time.time()) + 2) == b""


def test_logs_follow_until_the_end(containers: Containers) -> None:
    found = containers.run("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done")
    assert b"".join(found.logs(stream=True, follow=True)) == b"1\n2\n3\n"


def test_logs_follow_sees_what_is_said_later(containers: Containers) -> None:
    found = containers.run("sh", "-c", "echo early; read line; echo late $line", stdin_open=True)
    stream = found.logs(stream=True, follow=True)
    assert next(stream) == b"early\n"
    sock = found.attach_socket(params={"stdin": 1, "stream": 1})
    sock._sock.sendall(b"arrival\n")
    assert next(stream) == b"late arrival\n"
    assert list(stream) == []
    sock.close()


def test_a_line_without_an_end_and_one_of_a_megabyte(containers: Containers) -> None:
    found = containers.run("sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; echo; printf end")
    found.wait()
    said = found.logs()
    assert len(said) == 1_000_004
    assert said.endswith(b"x\nend")
    assert len(found.logs(timestamps=True)) == 1_000_004 + 2 * 31


def test_logs_of_a_terminal_are_raw(containers: Containers) -> None:
    found = containers.run("sh", "-c", "echo out; echo err >&2", tty=True)
    found.wait()
    assert found.logs() == b"out\r\nerr\r\n"


def test_logs_want_a_stream(talked: Container) -> None:
    with pytest.raises(APIError, match="you must choose at least one stream") as caught:
        talked.logs(stdout=False, stderr=False)
    assert caught.value.status_code == 400


# -- attach ---------------------------------------------------------------------------------------------------------------


def frames(sock: socket.socket) -> Iterator[tuple[int, bytes]]:
    """The frames of a multiplexed stream."""
    with sock.makefile("rb") as stream:
        while head := stream.read(8):
            kind, length = struct.unpack(">BxxxL", head)
            yield kind, stream.read(length)


def attached(container: Container, **parameters: int | str) -> socket.socket:
    """Attach past the SDK, whose reader of the head may swallow what follows it."""
    parameters = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1} | parameters
    path = container.client.api._custom_adapter.socket_path
    return hijacked(path, f"/containers/{container.id}/attach?{urlencode(parameters)}")


def exec_attached(container: Container, exec_id: str, tty: bool = False) -> socket.socket:
    body = json.dumps({"Detach": False, "Tty": tty}).encode()
    return hijacked(container.client.api._custom_adapter.socket_path, f"/exec/{exec_id}/start", body)


def gathered(sock: socket.socket) -> dict[int, bytes]:
    found = {1: b"", 2: b""}
    for kind, data in frames(sock):
        found[kind] += data
    return found


def test_attach_before_the_start_sees_the_first_byte(containers: Containers) -> None:
    created = containers.create("sh", "-c", "echo out; echo err >&2")
    sock = attached(created, stdin=0)
    created.start()
    assert gathered(sock) == {1: b"out\n", 2: b"err\n"}
    sock.close()


def test_stdin_is_carried_and_its_end_is_a_half_close(containers: Containers) -> None:
    created = containers.client.api.create_container(
        "busybox",
        ["sh", "-c", "cat; echo done"],
        stdin_open=True,
        labels={"test": containers.mark},
        host_config=containers.client.api.create_host_config(network_mode="none"),
    )
    container = containers.client.containers.get(created["Id"])
    sock = attached(container)
    container.start()
    sock.sendall(b"x" * 500_000 + b"\n")
    sock.shutdown(socket.SHUT_WR)
    said = gathered(sock)
    assert said[1] == b"x" * 500_000 + b"\ndone\n"
    assert container.wait()["StatusCode"] == 0
    sock.close()


def test_a_second_attach_sees_the_same_and_the_first_goes_on(containers: Containers) -> None:
    found = containers.run("sh", "-c", "read line; echo $line; echo bye >&2", stdin_open=True)
    first, second = attached(found), attached(found, stdin=0)
    first.sendall(b"hello\n")
    assert gathered(first) == gathered(second) == {1: b"hello\n", 2: b"bye\n"}
    first.close()
    second.close()


def test_attach_gives_logs_then_the_stream(containers: Containers) -> None:
    found = containers.run("sh", "-c", "echo early; read line; echo late", stdin_open=True)
    while not found.logs():
        time.sleep(0.01)
    sock = attached(found, logs=1)
    sock.sendall(b"\n")
    assert gathered(sock)[1] == b"early\nlate\n"
    sock.close()


def test_attach_of_a_terminal_is_raw_echoes_and_is_left_by_detach_keys(containers: Containers) -> None:
    found = containers.run("sh", "-c", 'while read line; do echo "<$line>"; done', stdin_open=True, tty=True)
    sock = attached(found)
    sock.sendall(b"ahoy\n")
    said = b""
    while b"<ahoy>\r\n" not in said:
        said += sock.recv(4096)
    assert said == b"ahoy\r\n<ahoy>\r\n"
    sock.sendall(b"\x10\x11")
    while part := sock.recv(4096):
        said += part
    found.reload()
    assert found.status == "running"
    sock.close()


def test_own_detach_keys(containers: Containers) -> None:
    found = containers.run("cat", stdin_open=True, tty=True)
    raw = found.client.api._url("/containers/{0}/attach", found.id)
    sock = attached(found, detachKeys="ctrl-a,q")
    sock.sendall(b"\x01q")
    while sock.recv(4096):
        pass
    found.reload()
    assert found.status == "running"
    sock.close()
    bad = found.client.api._post(raw, params={"detachKeys": "ctrl-\x00"})
    assert bad.status_code == 400


def test_attach_yields_output_as_an_iterator(containers: Containers) -> None:
    found = containers.run("sh", "-c", "sleep 0.2; echo out; echo err >&2")
    stream = found.attach(stream=True, demux=True)
    said = list(stream)
    assert b"".join(out for out, _ in said if out) == b"out\n"
    assert b"".join(err for _, err in said if err) == b"err\n"


def test_attach_to_what_ended_or_is_paused(containers: Containers) -> None:
    found = containers.run()
    found.pause()
    with pytest.raises(APIError, match="is paused") as caught:
        found.attach(stdout=True)
    assert caught.value.status_code == 409
    found.unpause()


# -- exec -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(containers: Containers) -> Container:
    return containers.run(environment={"BASE": "base"}, working_dir="/home")


def test_exec_demuxes_and_tells_the_exit_code(running: Container) -> None:
    ran = running.exec_run(["sh", "-c", "echo out; echo err >&2; exit 9"], demux=True)
    assert ran.exit_code == 9
    assert ran.output == (b"out\n", b"err\n")


def test_exec_with_environment_user_and_directory(running: Container) -> None:
    ran = running.exec_run(
        ["sh", "-c", "echo $BASE $MORE $HOME; id -un; id -gn; pwd"],
        environment={"MORE": "more"},
        user="app",
        workdir="/tmp",
    )
    assert ran.output.decode().split() == ["base", "more", "/home/app", "app", "app", "/tmp"]
    assert running.exec_run("pwd").output == b"/home\n"
    assert running.exec_run("id -u", user="123:456").output == b"123\n"
    assert running.exec_run("id -g", user="123:456").output == b"456\n"


def test_exec_privileged_has_every_capability(running: Container) -> None:
    plain = running.exec_run("grep CapEff /proc/self/status").output.split()[-1]
    whole = running.exec_run("grep CapEff /proc/self/status", privileged=True).output.split()[-1]
    assert int(plain, 16) == 0xA80425FB
    assert int(whole, 16) > int(plain, 16)


def test_exec_on_a_terminal(running: Container) -> None:
    ran = running.exec_run("tty", tty=True)
    assert ran.output.startswith(b"/dev/pts/")
    assert ran.exit_code == 0


def test_exec_streams_and_detaches(running: Container) -> None:
    ran = running.exec_run(["sh", "-c", "echo 1; sleep 0.1; echo 2"], stream=True)
    assert b"".join(ran.output) == b"1\n2\n"
    assert not running.exec_run("touch /tmp/made", detach=True).output
    while running.exec_run("test -e /tmp/made").exit_code:
        time.sleep(0.02)


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/etc/passwd", 126), ("/etc", 126)])
def test_exec_of_what_cannot_run(running: Container, command: str, code: int) -> None:
    ran = running.exec_run(command)
    assert ran.exit_code == code
    assert b"exec failed" in ran.output


def test_exec_stdin_is_half_closed(running: Container) -> None:
    api = running.client.api
    created = api.exec_create(running.id, ["sh", "-c", "wc -c; echo done >&2"], stdin=True)
    sock = exec_attached(running, created["Id"])
    sock.sendall(b"y" * 300_000)
    sock.shutdown(socket.SHUT_WR)
    assert gathered(sock) == {1: b"300000\n", 2: b"done\n"}
    sock.close()
    shown = api.exec_inspect(created["Id"])
    assert shown["ExitCode"] == 0
    assert shown["Running"] is False
    assert shown["OpenStdin"] is True
    with pytest.raises(APIError, match="has already run") as caught:
        api.exec_start(created["Id"])
    assert caught.value.status_code == 409


def test_exec_resize_is_seen_by_the_program(running: Container) -> None:
    api = running.client.api
    created = api.exec_create(running.id, ["sh", "-c", "read x; stty size"], stdin=True, tty=True)
    sock = exec_attached(running, created["Id"], tty=True)
    api.exec_resize(created["Id"], height=33, width=77)
    sock.sendall(b"\n")
    said = b""
    while part := sock.recv(4096):
        said += part
    assert b"33 77" in said
    sock.close()


def test_an_unknown_user_is_refused(running: Container) -> None:
    code, said = running.exec_run("true", user="nosuch")
    assert code == 126
    assert b"unable to find user nosuch: no matching entries in passwd file" in said


# -- archives and images ----------------------------------------------------------------------------------------------------


def packed(**files: bytes) -> bytes:
    return tar_of(*(member(name, data, uid=1000, gid=1000, mode=0o640) for name, data in files.items()))


def unpacked(stream: Iterator[bytes]) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        return {member.name.rstrip("/"): member for member in archive}


def test_archives_in_and_out_of_a_running_and_of_an_ended_container(containers: Containers) -> None:
    for found in (containers.run(), containers.run("true")):
        found.wait(condition="not-running") if found.attrs["Path"] == "true" else None
        assert found.put_archive("/tmp", packed(given=b"hello"))
        stream, status = found.get_archive("/tmp/given")
        assert status["name"] == "given"
        assert status["size"] == 5
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            member = archive.getmember("given")
            assert (member.uid, member.mode & 0o777) == (1000, 0o640)
            assert archive.extractfile(member).read() == b"hello"  # type: ignore[union-attr]


def test_archives_see_tmpfs_and_volumes(containers: Containers) -> None:
    found = containers.run(tmpfs={"/mnt": ""}, volumes=["/data"])
    found.put_archive("/mnt", packed(a=b"1"))
    found.put_archive("/data", packed(b=b"2"))
    assert found.exec_run("cat /mnt/a /data/b").output == b"12"
    assert set(unpacked(found.get_archive("/data")[0])) == {"data", "data/b"}


def test_archives_never_leave_the_root(containers: Containers) -> None:
    found = containers.run("sh", "-c", "ln -s /etc /tmp/link; ln -s ../../../../../../etc /tmp/up; sleep 1000")
    while found.exec_run("test -L /tmp/up").exit_code:
        time.sleep(0.01)
    found.put_archive("/tmp/link", packed(planted=b"x"))
    assert found.exec_run("cat /etc/planted").output == b"x"
    stream, _ = found.get_archive("/tmp/up/hostname")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        assert archive.extractfile("hostname").read().decode().strip() == found.id[:12]  # type: ignore[union-attr]
    assert not os.path.exists("/etc/planted")


def test_archive_errors(containers: Containers) -> None:
    found = containers.run(read_only=True)
    with pytest.raises(APIError, match="Could not find the file") as caught:
        found.get_archive("/nothing")
    assert caught.value.status_code == 404
    with pytest.raises(APIError) as caught:
        containers.create().put_archive("/nothing", packed(a=b"1"))
    assert caught.value.status_code == 404
    with pytest.raises(APIError, match="read-only") as caught:
        found.put_archive("/etc", packed(a=b"1"))
    assert caught.value.status_code == 403


def test_export_is_the_whole_root(containers: Containers) -> None:
    found = containers.run("touch", "/made")
    found.wait()
    names = set(unpacked(found.export()))
    assert {"made", "bin/busybox", "etc/passwd"} <= names
    assert not any(name.startswith("proc/") for name in names)


def test_commit_makes_an_image_of_the_changes(client: sdk.DockerClient, containers: Containers) -> None:
    found = containers.run("sh", "-c", "echo kept > /file")
    found.wait()
    image = found.commit(
        repository="sdk/committed",
        tag="one",
        message="said",
        author="me",
        changes=["ENV A=b", 'CMD ["cat", "/file"]', "WORKDIR /tmp"],
    )
    try:
        assert image.attrs["Comment"] == "said"
        assert image.attrs["Author"] == "me"
        assert "A=b" in image.attrs["Config"]["Env"]
        created = client.containers.run(image.id, remove=True, network_mode="none")
        assert created == b"kept\n"
        assert len(image.attrs["RootFS"]["Layers"]) == 2
        assert image.history()[0]["Comment"] == "said"
    finally:
        client.images.remove("sdk/committed:one")


def test_images_are_tagged_listed_and_removed(client: sdk.DockerClient) -> None:
    image = client.images.get("busybox")
    assert image.tag("sdk/other", "two")
    try:
        assert any("sdk/other:two" in found.tags for found in client.images.list("sdk/other"))
        assert client.images.get("sdk/other:two").id == image.id
        assert client.images.list(filters={"reference": "sdk/*"})
    finally:
        client.images.remove("sdk/other:two")
    with pytest.raises(ImageNotFound):
        client.images.get("sdk/other:two")
    assert client.images.get("busybox").id == image.id


def test_an_image_in_use_is_not_removed(client: sdk.DockerClient, containers: Containers) -> None:
    found = containers.run("touch", "/x")
    found.wait()
    image = found.commit(repository="sdk/used")
    user = containers.run("sleep", "100", image="sdk/used")
    with pytest.raises(APIError) as caught:
        client.images.remove(image.id)
    assert caught.value.status_code == 409
    user.remove(force=True)
    client.images.remove("sdk/used")


def test_import_save_and_load(client: sdk.DockerClient) -> None:
    client.api.import_image_from_data(packed(hello=b"hi"), repository="sdk/imported", tag="x")
    saved = b"".join(client.images.get("sdk/imported:x").save(named=True))
    before = client.images.get("sdk/imported:x").id
    client.images.remove("sdk/imported:x")
    loaded = client.images.load(saved)
    assert [image.id for image in loaded] == [before]
    assert loaded[0].tags == ["sdk/imported:x"]
    client.images.remove("sdk/imported:x")


def test_a_client_that_leaves_a_follow_does_not_disturb(containers: Containers) -> None:
    found = containers.run("sh", "-c", "while :; do echo x; sleep 0.01; done")
    stream = found.logs(stream=True, follow=True)
    assert next(stream) == b"x\n"
    stream.close()
    threads = [threading.Thread(target=found.exec_run, args=("true",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.exec_run("echo well").output == b"well\n"
