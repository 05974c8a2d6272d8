"""The runtime conformance suite over every runtime of this host."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.runtime.conformance import CGROUP, RuntimeConformance

from dockwright import cgroup
from dockwright.runtime import OciRuntime, Runtime


@pytest.fixture(scope="session")
def busybox_root(scratch: Path, busybox_image: Path) -> Path:
    root = scratch / "runtime-root"
    with tarfile.open(busybox_image) as archive:
        archive.extractall(root, filter="fully_trusted")
    return root


@pytest.fixture(scope="module", autouse=True)
def _cgroups() -> Iterator[None]:
    cgroup.mount_missing()
    yield
    for parent in [*Path("/sys/fs/cgroup").glob(f"*{CGROUP}"), Path(f"/sys/fs/cgroup{CGROUP}")]:
        if parent.is_dir():
            parent.rmdir()


def installed(name: str, tmp_path: Path) -> Runtime:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing")
    return OciRuntime(name, Path(path), tmp_path / "state")


class TestCrun(RuntimeConformance):
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Runtime:
        return installed("crun", tmp_path)


class TestRunc(RuntimeConformance):
    @pytest.fixture
    def runtime(self, tmp_path: Path) -> Runtime:
        return installed("runc", tmp_path)
