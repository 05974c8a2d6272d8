"""Secrets and ssh agents that a client lends to the steps of a build."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.build.conftest import Bench

from dockwright.build import Ended, HostLender
from dockwright.errors import DockwrightError, Invalid, NotFound

pytestmark = pytest.mark.root

ASKS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int count, char **given) {
  struct sockaddr_un place = {.sun_family = AF_UNIX};
  char answer[256];
  int end = socket(AF_UNIX, SOCK_STREAM, 0);
  strncpy(place.sun_path, getenv("SSH_AUTH_SOCK"), sizeof place.sun_path - 1);
  if (connect(end, (struct sockaddr *)&place, sizeof place)) return perror("connect"), 1;
  if (write(end, given[1], strlen(given[1])) < 0) return perror("write"), 1;
  ssize_t got = read(end, answer, sizeof answer);
  printf("%.*s\n", (int)got, answer);
  return 0;
}
"""
SECRET = "s3cr3t-that-nobody-finds"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """A socket that says back what it is told, `agent:` before it."""
    path = tmp_path / "agent"
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(tmp_path, os.O_PATH)
    listening.bind(f"/proc/self/fd/{folder}/agent")
    os.close(folder)
    listening.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client:
                while data := client.recv(1024):
                    client.sendall(b"agent:" + data)

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.fixture(scope="session")
def asks(scratch: Path) -> bytes:
    """A program that says its argument to the socket in SSH_AUTH_SOCK and prints the answer; busybox has none."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is missing")
    (scratch / "asks.c").write_text(ASKS)
    subprocess.run([compiler, "-static", "-O1", "-o", scratch / "asks", scratch / "asks.c"], check=True)
    return (scratch / "asks").read_bytes()


def everything_below(root: Path) -> Iterator[bytes]:
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                yield path.read_bytes()
            except OSError:
                continue  # the handle of a namespace


async def test_a_secret_is_a_file_of_the_step_alone(bench: Bench) -> None:
    text = (
        "FROM busybox\n"
        "RUN --mount=type=secret,id=token cat /run/secrets/token | tr a-z A-Z; stat -c %a:%u:%g /run/secrets/token;"
        " grep ' /run/secrets/token tmpfs ' /proc/mounts | cut -d' ' -f3\n"
        "RUN --mount=type=secret,id=token,target=/etc/deep/it,mode=0440,uid=1000,gid=50,required stat -c %a:%u:%g /etc/deep/it\n"
        "WORKDIR /w\n"
        "RUN --mount=type=secret,target=token test -s /w/token\n"
        "RUN test ! -e /run/secrets && test ! -e /etc/deep && test ! -e /w/token\n"
    )
    lender = HostLender(secrets={"token": SECRET.encode()})
    outcome = await bench.build(text, lender=lender)
    assert outcome.said == f"{SECRET.upper()}400:0:0\ntmpfs\n440:1000:50\n"
    assert not any(SECRET.encode() in content for content in everything_below(bench.engine.settings.data_root))
    assert not any(SECRET.encode() in content for content in everything_below(bench.engine.settings.exec_root))


async def test_another_secret_is_no_reason_to_run_a_step_again(bench: Bench) -> None:
    text = "FROM busybox\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token > /size\n"
    await bench.build(text, lender=HostLender(secrets={"token": b"one"}))
    assert all((await bench.build(text, lender=HostLender(secrets={"token": b"other"}))).cached.values())
    assert all((await bench.build(text)).cached.values())


async def test_a_secret_may_be_a_variable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", SECRET)
    text = (
        'FROM busybox\nRUN --mount=type=secret,id=MINE,env=TOKEN test "$TOKEN" = s3cr3t-that-nobody-finds && test ! -e /run/secrets/MINE\n'
        "RUN --mount=type=secret,id=MINE,env=A,target=/both test $A = $(cat /both)\n"
    )
    outcome = await bench.build(text, lender=HostLender(variables=frozenset({"MINE"})))
    image = await bench.engine.images.resolve(outcome.image_id)
    assert SECRET not in str(image.config.history[1:])[len(text) :]
    assert not any("TOKEN" in one for one in image.config.run.env or ())
    with pytest.raises(Invalid, match="is no text"):
        await bench.build("FROM busybox\nRUN --mount=type=secret,id=x,env=A true\n", lender=HostLender({"x": b"\0"}))


async def test_a_secret_in_a_variable_hides_the_one_of_that_name(bench: Bench) -> None:
    text = "FROM busybox\nENV TOKEN=plain\nRUN --mount=type=secret,id=token,env=TOKEN echo $TOKEN | tr a-z A-Z\nRUN echo $TOKEN\n"
    outcome = await bench.build(text, lender=HostLender(secrets={"token": SECRET.encode()}))
    assert outcome.said == f"{SECRET.upper()}\nplain\n"
    titles = [one.title for one in outcome.progress if isinstance(one, Ended)]
    assert any(title.endswith("echo **** | tr a-z A-Z") for title in titles)


async def test_what_is_required_and_not_lent_is_told(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"secret absent: not found.*--secret id=absent"):
        await bench.build("FROM busybox\nRUN --mount=type=secret,id=absent,required true\n")
    with pytest.raises(NotFound, match="no SSH key 'default' forwarded"):
        await bench.build("FROM busybox\nRUN --mount=type=ssh,required true\n")
    await bench.build("FROM busybox\nRUN --mount=type=ssh --mount=type=secret,id=absent test -z $SSH_AUTH_SOCK\n")
    with pytest.raises(NotFound, match="the secret gone cannot be read"):
        gone = HostLender({"gone": tmp_path / "gone"})
        await bench.build("FROM busybox\nRUN --mount=type=secret,id=gone true\n", lender=gone)
    with pytest.raises(Invalid, match="longer than"):
        await bench.build("FROM busybox\nRUN --mount=type=secret,id=x true\n", lender=HostLender({"x": bytes(600_000)}))


async def test_an_agent_answers_in_the_step(bench: Bench, agent: Path, asks: bytes) -> None:
    lender = HostLender(agents={"default": agent, "other": agent})
    text = (
        "FROM busybox\nCOPY --chmod=755 asks /bin/\n"
        "RUN --mount=type=ssh echo $SSH_AUTH_SOCK; stat -c %a:%u:%g:%F $SSH_AUTH_SOCK; asks hello\n"
        "RUN --mount=type=ssh,id=other,target=/a.sock,mode=0666,uid=1000,gid=50 stat -c %a:%u:%g /a.sock;"
        " test $SSH_AUTH_SOCK = /a.sock && asks again\n"
        "RUN test -z $SSH_AUTH_SOCK && test ! -e /a.sock && test ! -e /run/buildkit\n"
    )
    outcome = await bench.build(text, {"asks": asks}, lender=lender)
    assert outcome.said == ("/run/buildkit/ssh_agent.0\n600:0:0:socket\nagent:hello\n666:1000:50\nagent:again\n")


async def test_a_failed_step_leaves_nothing_of_what_was_lent(bench: Bench, agent: Path) -> None:
    lender = HostLender({"token": SECRET.encode()}, agents={"default": agent})
    with pytest.raises(DockwrightError):
        await bench.build("FROM busybox\nRUN --mount=type=secret,id=token --mount=type=ssh exit 1\n", lender=lender)
    assert os.listdir(bench.engine.settings.exec_root / "builds") == []
    assert str(bench.engine.settings.exec_root / "builds") not in Path("/proc/self/mountinfo").read_text()
