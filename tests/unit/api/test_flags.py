"""The daemon's flags and daemon.json: declared once, documented, parsed, refused when wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dockwright.api import daemon, flags, network_settings, registry_settings
from dockwright.errors import Invalid


def test_every_flag_is_in_the_help_and_has_one_declaration() -> None:
    usage = flags.usage()
    names = [flag.name for flag in flags.FLAGS if flag.kind != "object"]
    shorts = [flag.short for flag in flags.FLAGS if flag.short]
    assert len(set(names)) == len(names)
    assert len(set(shorts)) == len(shorts)
    assert all(f"--{name}" in usage for name in names)


def test_every_value_that_the_daemon_reads_is_a_flag() -> None:
    import re

    source = "".join(
        Path(module.__file__ or "").read_text() for module in (daemon, network_settings, registry_settings)
    )
    source += (Path(daemon.__file__ or "").parent / "sockets.py").read_text()
    read = set(re.findall(r'values\["([a-z0-9-]+)"\]', source)) | set(
        re.findall(r'_(?:pairs|choice)\((?:values, )?"([a-z-]+)"', source)
    )
    known = {flag.name for flag in flags.FLAGS}
    assert read <= known
    assert known - read <= {"config-file", "help", "version"}, "a flag that nobody reads"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--debug"], {"debug": True}),
        (["-D=false"], {"debug": False}),
        (["--mtu=1400"], {"mtu": 1400}),
        (["-H", "unix:///a", "--host=unix:///b"], {"host": ["unix:///a", "unix:///b"]}),
        (["--label", "a=b", "--label", "c=d"], {"label": ["a=b", "c=d"]}),
        (["-l", "warn"], {"log-level": "warn"}),
    ],
)
def test_flags_are_parsed(words: list[str], expected: dict[str, object]) -> None:
    assert flags.parse(words) == expected


@pytest.mark.parametrize(
    "words", [["--nosuch"], ["-x"], ["word"], ["--mtu"], ["--mtu=big"], ["--debug=perhaps"], ["--"], ["-"]]
)
def test_flags_that_are_wrong_are_refused(words: list[str]) -> None:
    with pytest.raises(Invalid):
        flags.parse(words)


def load(tmp_path: Path, document: object) -> dict[str, object]:
    path = tmp_path / "daemon.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return flags.load_file(path, must_exist=True)


def test_the_file_uses_dockers_plural_keys(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        {
            "hosts": ["unix:///a"],
            "log-opts": {"max-size": "1m"},
            "default-ulimits": {"nofile": {"Soft": 10, "Hard": 20}},
            "runtimes": {"mine": {"path": "/bin/mine"}},
            "default-address-pools": [{"base": "10.0.0.0/8", "size": 24}],
            "live-restore": False,
        },
    )
    assert found == {
        "host": ["unix:///a"],
        "log-opt": ["max-size=1m"],
        "default-ulimit": ["nofile=10:20"],
        "add-runtime": ["mine=/bin/mine"],
        "default-address-pool": ["base=10.0.0.0/8,size=24"],
        "live-restore": False,
    }


@pytest.mark.parametrize(
    "document", ["{", "[]", '{"nosuch": 1}', '{"debug": "yes"}', '{"mtu": true}', '{"hosts": "unix:///a"}']
)
def test_files_that_are_wrong_are_refused(tmp_path: Path, document: str) -> None:
    with pytest.raises(Invalid, match=r"daemon\.json"):
        load(tmp_path, document)


def test_what_both_flag_and_file_say_is_refused() -> None:
    with pytest.raises(Invalid, match="both as a flag and in the configuration file: mtu"):
        flags.merge({"mtu": 1}, {"mtu": 2})


@pytest.mark.parametrize(
    "words",
    [
        ["--storage-driver=zfs"],
        ["--log-level=loud"],
        ["--bip=nonsense"],
        ["--exec-opt=native.cgroupdriver=odd"],
        ["--default-shm-size=lots"],
        ["--default-ulimit=nofile"],
        ["--log-driver=nosuch"],
        ["--log-opt=odd"],
        ["--default-ipc-mode=host"],
        ["--seccomp-profile=/nonexistent"],
        ["--ip=nowhere"],
        ["--default-address-pool=10.0.0.0"],
    ],
)
def test_values_that_make_no_sense_are_refused(words: list[str]) -> None:
    with pytest.raises(Invalid):
        daemon.to_settings(flags.merge(flags.parse(words), {}))


def test_the_defaults_make_settings() -> None:
    settings = daemon.to_settings(flags.merge({}, {}))
    assert settings.live_restore
    assert str(settings.data_root) == "/var/lib/dockwright"
