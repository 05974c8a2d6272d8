"""ssh agents that are started for keys: real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from dockwright.cli.building.agents import sockets
from dockwright.cli.building.loans import Agent, agents
from dockwright.errors import Invalid

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("ssh-agent", "ssh-add", "ssh-keygen"))), reason="OpenSSH's programs are not installed"
)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "of-a-test", "-f", made], check=True)
    return made


def listed(socket: str) -> str:
    environment = {**os.environ, "SSH_AUTH_SOCK": socket}
    return subprocess.run(["ssh-add", "-l"], env=environment, capture_output=True, text=True, check=False).stdout


def test_an_agent_holds_the_keys_and_ends_with_the_build(key: Path) -> None:
    found = agents([f"mine={key}"])
    assert found == {"mine": Agent("mine", keys=(str(key),))}
    with ExitStack() as stack:
        socket = sockets(found.values(), stack)["mine"]
        assert "of-a-test" in listed(socket)
    assert not os.path.exists(os.path.dirname(socket))


def test_what_is_no_key_is_refused_and_leaves_no_agent(tmp_path: Path) -> None:
    (tmp_path / "no-key").write_text("nothing")
    with ExitStack() as stack, pytest.raises(Invalid, match="failed to parse"):
        sockets(agents([f"default={tmp_path}/no-key"]).values(), stack)


def test_keys_and_sockets_do_not_mix(key: Path, tmp_path: Path) -> None:
    (tmp_path / "fifo").mkdir()
    with pytest.raises(Invalid, match="invalid combination of keys and sockets"):
        agents([f"a={key},{tmp_path}/fifo"])
    with pytest.raises(Invalid, match='duplicate agent ID "a"'):
        agents([f"a={key}", f"a={key}"])
