"""Interpreters of other architectures' programs, as the kernel's registry tells of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockwright.build.solving import foreign
from dockwright.oci import Platform
from dockwright.oci import platform as platforms

AARCH64 = "7f454c460201010000000000000000000200b700"
MASK = "ffffffffffffff00fffffffffffffffffeffffff"
S390X = "7f454c4602020100000000000000000000020016"
S390X_MASK = "ffffffffffffff00fffffffffffffffffffeffff"
OTHER = Platform("arm64" if platforms.host().architecture != "arm64" else "riscv64", "linux")


def registry(tmp_path: Path, **entries: str) -> Path:
    (tmp_path / "register").write_text("")
    (tmp_path / "status").write_text("enabled\n")
    for name, text in entries.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def entry(magic: str, mask: str, *, flags: str = "F", state: str = "enabled") -> str:
    return f"{state}\ninterpreter /usr/bin/qemu\nflags: {flags}\noffset 0\nmagic {magic}\nmask {mask}\n"


@pytest.mark.skipif(OTHER.architecture != "arm64", reason="the host is no other machine than the one in the table")
def test_an_interpreter_is_found_by_what_programs_begin_with(tmp_path: Path) -> None:
    known = registry(tmp_path, s390x=entry(S390X, S390X_MASK), aarch64=entry(AARCH64, MASK, flags="POCF"))
    assert foreign.trouble(Platform("arm64", "linux"), known) == ""
    assert foreign.trouble(Platform("s390x", "linux"), known) == ""
    found = foreign.interpreter(Platform("arm64", "linux"), known)
    assert found is not None
    assert (found.name, found.path, found.fixed) == ("aarch64", "/usr/bin/qemu", True)
    assert "register qemu-riscv64" in foreign.trouble(Platform("riscv64", "linux"), known)
    assert "register qemu-ppc64le" in foreign.trouble(Platform("ppc64le", "linux"), known)


def test_what_runs_here_needs_none(tmp_path: Path) -> None:
    for one in (
        platforms.host(),
        Platform(),
        Platform("", "linux"),
        Platform(platforms.host().architecture, "linux", variant="v9"),
    ):
        assert foreign.trouble(one, tmp_path / "nothing") == ""


@pytest.mark.skipif(OTHER.architecture != "arm64", reason="the host is no other machine than the one in the table")
def test_an_interpreter_that_is_not_found_from_a_steps_root_is_none(tmp_path: Path) -> None:
    known = registry(tmp_path, aarch64=entry(AARCH64, MASK, flags="OC"))
    assert "without the flag F" in foreign.trouble(OTHER, known)


@pytest.mark.parametrize(
    "text",
    [
        entry(AARCH64, MASK, state="disabled"),
        "enabled\ninterpreter /bin/x\nflags: F\nextension .arm\n",
        entry(AARCH64 + "00" * 20, ""),
        "",
    ],
)
def test_other_entries_are_none(tmp_path: Path, text: str) -> None:
    assert foreign.interpreter(OTHER, registry(tmp_path, it=text)) is None


def test_without_a_registry_nothing_is_registered(tmp_path: Path) -> None:
    assert foreign.interpreter(OTHER, tmp_path / "nothing") is None
    (tmp_path / "status").write_text("disabled\n")
    assert foreign.interpreter(OTHER, tmp_path) is None
    assert "do not run on linux" in foreign.trouble(Platform("amd64", "windows"), tmp_path)
    assert "has no interpreter for linux/sparc" in foreign.trouble(Platform("sparc", "linux"), tmp_path)
