"""The daemon's flags and daemon.json: every one is documented, parsed, and refused when it is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dockwright.api import flags
from dockwright.api.daemon import to_settings
from dockwright.api.sockets import listeners, split_tcp
from dockwright.errors import Invalid
from dockwright.image import Retention

SAMPLES: dict[str, Any] = {"text": "value", "number": 7, "flag": True, "list": ["one", "two"], "object": {"a": 1}}
SETTABLE = [flag for flag in flags.FLAGS if flag.name not in ("config-file", "validate", "version", "help")]


def named(name: str) -> flags.Flag:
    return next(flag for flag in flags.FLAGS if flag.name == name)


@pytest.mark.parametrize("flag", [flag for flag in flags.FLAGS if flag.kind != "object"], ids=lambda flag: flag.name)
def test_every_flag_is_documented_and_parsed(flag: flags.Flag) -> None:
    assert f"--{flag.name}" in flags.usage()
    assert flag.help in flags.usage()
    assert flag.help
    assert not flag.help.endswith(".")
    wanted = SAMPLES[flag.kind]
    if flag.kind == "flag":
        forms = [[f"--{flag.name}"], [f"--{flag.name}=true"]] + ([[f"-{flag.short}"]] if flag.short else [])
        assert flags.parse([f"--{flag.name}=false"]) == {flag.name: False}
    else:
        words = wanted if flag.kind == "list" else [str(wanted)]
        forms = [
            [part for word in words for part in (f"--{flag.name}", word)],
            [f"--{flag.name}={word}" for word in words],
        ]
        if flag.short:
            forms.append([part for word in words for part in (f"-{flag.short}", word)])
    for form in forms:
        assert flags.parse(form) == {flag.name: wanted}, form


def test_names_and_letters_and_keys_are_unique() -> None:
    for values in (
        [flag.name for flag in flags.FLAGS],
        [flag.short for flag in flags.FLAGS if flag.short],
        [flag.file_key for flag in flags.FLAGS],
    ):
        assert len(values) == len(set(values))


@pytest.mark.parametrize("flag", SETTABLE, ids=lambda flag: flag.name)
def test_every_flag_has_a_key_in_daemon_json(flag: flags.Flag, tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({flag.file_key: SAMPLES[flag.kind]}))
    values = flags.load_file(path, must_exist=True)
    assert values == {flag.name: SAMPLES[flag.kind]}
    assert flags.merge({}, values)[flag.name] == SAMPLES[flag.kind]
    if flag.name != "debug":
        with pytest.raises(Invalid, match="both as a flag and in the configuration file"):
            flags.merge({flag.name: SAMPLES[flag.kind]}, values)
    path.write_text(json.dumps({flag.file_key: 7 if flag.kind in ("list", "object") else {"wrong": []}}))
    with pytest.raises(Invalid, match=flag.file_key):
        flags.load_file(path, must_exist=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-such-flag"], "unknown flag: --no-such-flag"),
        (["-Z"], "unknown flag: -Z"),
        (["stray"], "takes no arguments"),
        (["--data-root"], "flag needs an argument"),
        (["--debug=perhaps"], "true or false is expected"),
        (["--mtu=wide"], "a number is expected"),
        (["--"], "unknown flag"),
        (["-"], "takes no arguments"),
    ],
)
def test_a_wrong_flag_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        flags.parse(arguments)


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"no-such-key": 1}', '{"debug": "yes"}', '{"mtu": true}'])
def test_a_wrong_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(text)
    with pytest.raises(Invalid, match=str(path)):
        flags.load_file(path, must_exist=True)


def test_a_missing_file_is_an_error_only_when_it_was_named(tmp_path: Path) -> None:
    assert flags.load_file(tmp_path / "none", must_exist=False) == {}
    with pytest.raises(Invalid, match="no such configuration file"):
        flags.load_file(tmp_path / "none", must_exist=True)


def test_the_defaults_make_settings() -> None:
    settings = to_settings(flags.merge({}, {}))
    assert settings.live_restore is True
    assert settings.containers.log.type == "json-file"
    assert str(settings.data_root) == named("data-root").default


@pytest.mark.parametrize(
    "arguments",
    [
        ["--storage-driver=zfs"],
        ["--log-level=loud"],
        ["--default-cgroupns-mode=shared"],
        ["--default-ipc-mode=host"],
        ["--exec-opt=native.cgroupdriver=none"],
        ["--exec-opt=colour=blue"],
        ["--default-shm-size=wide"],
        ["--default-ulimit=nofile"],
        ["--default-ulimit=nofile=x"],
        ["--seccomp-profile=/no/such/file"],
        ["--add-runtime=mine"],
        ["--log-opt=max-size"],
        ["--bip=nonsense"],
        ["--fixed-cidr=nonsense"],
        ["--ipv6", "--mtu=1279"],
        ["--ipv6", "--bip6=nonsense/64"],
        ["--ipv6", "--bip6=fd00::1"],
        ["--ipv6", "--bip6=fd00::/64"],
        ["--ipv6", "--fixed-cidr-v6=fd00::1/64"],
        ["--ipv6", "--fixed-cidr-v6=fd00::/127"],
        ["--ipv6", "--bip6=fd00::1/64", "--fixed-cidr-v6=fd01::/80"],
        ["--ipv6", "--fixed-cidr-v6=fd00::/64", "--default-gateway-v6=fd01::1"],
        ["--fixed-cidr-v6=fd00::/64"],
        ["--bip6=fd00::1/64"],
        ["--default-gateway-v6=fd00::1"],
        ["--bridge-accept-fwmark=red"],
        ["--default-network-opt=bridge"],
        ["--default-network-opt=bridge=mtu"],
        ["--firewall-backend=iptables"],
        ["--ip6tables=false"],
        ["--ip-forward-no-drop=false"],
        ["--iptables=false", "--allow-direct-routing"],
        ["--default-gateway=nonsense"],
        ["--default-address-pool=nonsense"],
        ["--ip=nonsense"],
        ["--gc=max-size=wide"],
        ["--gc=keep-for=soon"],
        ["--gc=keep-for=0"],
        ["--gc=drop-unpacked=perhaps"],
        ["--gc=keep=all"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_value_that_means_nothing_is_refused(arguments: list[str]) -> None:
    with pytest.raises(Invalid):
        to_settings(flags.merge(flags.parse(arguments), {}))


@pytest.mark.parametrize(
    ("text", "size"), [("64m", 64 << 20), ("1g", 1 << 30), ("512", 512), ("8kb", 8 << 10), ("5B", 5)]
)
def test_sizes(text: str, size: int) -> None:
    assert to_settings(flags.merge({"default-shm-size": text}, {})).containers.shm_size == size


def test_images_are_kept_within_the_bounds_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{"gc": {"max-size": "50GB", "keep-for": "720h"}}')
    settings = to_settings(flags.merge({}, flags.load_file(path, must_exist=True)))
    assert settings.gc == Retention(50 << 30, 720 * 3600)
    assert settings.gc.enabled
    path.write_text('{"gc": {"drop-unpacked": true}}')
    settings = to_settings(flags.merge({}, flags.load_file(path, must_exist=True)))
    assert settings.gc == Retention(drop_unpacked=True)
    assert not settings.gc.enabled
    assert not to_settings(flags.merge({}, {})).gc.enabled


def test_the_default_bridge_is_given_ipv6_by_flag_and_by_file(tmp_path: Path) -> None:
    words = ["--ipv6", "--bip6=fd00:9::1/64", "--fixed-cidr-v6=fd00:9::8000/113", "--default-gateway-v6=fd00:9::2"]
    path = tmp_path / "daemon.json"
    path.write_text(
        '{"ipv6": true, "bip6": "fd00:9::1/64", "fixed-cidr-v6": "fd00:9::8000/113", "default-gateway-v6": "fd00:9::2",'
        ' "default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1234"}}}'
    )
    flag = to_settings(flags.merge(flags.parse(words), {})).network
    file = to_settings(flags.merge({}, flags.load_file(path, must_exist=True))).network
    assert file.default_options == {"bridge": {"com.docker.network.driver.mtu": "1234"}}
    assert flag.ipv6
    assert flag == replace(file, default_options={})


@pytest.mark.parametrize("name", sorted(flags.REFUSED))
def test_what_is_never_so_here_is_refused_by_name_and_with_the_reason(name: str, tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps({name: "x"}))
    with pytest.raises(Invalid, match=f"{name} is not supported: "):
        flags.load_file(path, must_exist=True)
    with pytest.raises(Invalid, match=f"^--{name} is not supported: "):
        flags.parse([f"--{name}=x"])


def listening(*arguments: str) -> list[str]:
    return [str(listener) for listener in listeners(flags.merge(flags.parse(arguments), {}))]


def test_where_the_daemon_listens() -> None:
    assert listening() == ["unix:///run/dockwright/engine.sock", "unix:///var/run/docker.sock"]
    assert listening("-H", "unix:///a", "-H", "fd://") == ["unix:///a", "fd://"]
    assert listening("-H", "tcp://127.0.0.1:2375", "--insecure-tcp") == ["tcp://127.0.0.1:2375"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-H", "tcp://127.0.0.1:2375"], "without TLS"),
        (["-H", "tcp://127.0.0.1"], "a port is needed"),
        (["-H", "tcp://:0"], "a port is needed"),
        (["-H", "/a/path"], "is expected"),
        (["-H", "npipe:////./pipe"], "is expected"),
        (["--tls"], "TLS needs --tlscert and --tlskey"),
        (["--tls", "--tlscert=/none", "--tlskey=/none"], "could not load"),
    ],
)
def test_where_it_does_not_listen(arguments: list[str], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        listening(*arguments)


def test_tcp_addresses() -> None:
    assert split_tcp("tcp://[::1]:2376") == ("::1", 2376)
    assert split_tcp("tcp://:2376") == ("", 2376)
