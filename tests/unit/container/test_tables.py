"""Pure parts of containers, by tables: keys, policies, names, mounts, ports, users, signals, times, capabilities."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockwright.container import names, ports, restart, state
from dockwright.container.config import Config, HostConfig, Mount, PortBinding, RestartPolicy, TmpfsOptions, wire_name
from dockwright.container.detach import Detector
from dockwright.container.detach import parse as parse_keys
from dockwright.container.mounts import parse_bind, resolve
from dockwright.container.signals import parse_signal
from dockwright.container.spec import capabilities, devices, seccomp, security, users
from dockwright.container.state import Status
from dockwright.errors import Conflict, DockwrightError, Invalid, NotModified, Unsupported
from dockwright.units import ago, parse_duration, parse_time, rfc3339


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b"\x10\x11"),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", b"\x00\x1b\x1c\x1d\x1e\x1f"),
        ("ctrl-A", b"\x01"),
        ("x,y,z", b"xyz"),
    ],
)
def test_detach_keys(text: str, keys: bytes) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "a,", ",", "ctrl-ab", "ä", "alt-x"])
def test_bad_detach_keys(text: str) -> None:
    with pytest.raises(Invalid, match="invalid detach keys"):
        parse_keys(text)


def test_the_detector_holds_back_a_beginning_and_gives_it_when_it_was_none() -> None:
    detector = Detector(b"\x10\x11")
    assert detector.feed(b"ab\x10") == (b"ab", False)
    assert detector.feed(b"c") == (b"\x10c", False)
    assert detector.feed(b"\x10") == (b"", False)
    assert detector.feed(b"\x11rest") == (b"", True)


@pytest.mark.parametrize(
    ("policy", "code", "restarts", "by_hand", "again"),
    [
        ("no", 1, 0, False, False),
        ("", 1, 0, False, False),
        ("always", 0, 9, False, True),
        ("always", 1, 0, True, False),
        ("unless-stopped", 0, 0, False, True),
        ("unless-stopped", 0, 0, True, False),
        ("on-failure", 0, 0, False, False),
        ("on-failure", 1, 100, False, True),
        ("on-failure:2", 1, 1, False, True),
        ("on-failure:2", 1, 2, False, False),
    ],
)
def test_whether_a_container_starts_again(policy: str, code: int, restarts: int, by_hand: bool, again: bool) -> None:
    name, _, limit = policy.partition(":")
    assert (
        restart.again(RestartPolicy(name=name, maximum_retry_count=int(limit or 0)), code, restarts, by_hand) is again
    )


def test_what_starts_with_the_daemon() -> None:
    def starts(name: str, *, by_hand: bool = False, ran: bool = True, code: int = 1) -> bool:
        return restart.at_daemon_start(RestartPolicy(name=name), code, 0, by_hand, ran)

    assert starts("always", by_hand=True)
    assert not starts("always", ran=False)
    assert not starts("unless-stopped", by_hand=True)
    assert starts("unless-stopped")
    assert not starts("no")


def test_the_back_off_doubles_to_a_minute_and_starts_over_after_a_steady_run() -> None:
    delays = [0.0]
    for _ in range(12):
        delays.append(restart.next_delay_s(delays[-1], 0.1))
    assert delays[1:5] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == 60.0
    assert restart.next_delay_s(60.0, 10.0) == 0.1


@pytest.mark.parametrize(
    ("name", "count", "auto_remove"),
    [("sometimes", 0, False), ("on-failure", -1, False), ("always", 3, False), ("no", 2, False), ("always", 0, True)],
)
def test_bad_restart_policies(name: str, count: int, auto_remove: bool) -> None:
    with pytest.raises(Invalid):
        restart.validate(RestartPolicy(name=name, maximum_retry_count=count), auto_remove)


def test_names() -> None:
    assert names.validate("/web_1.a-b") == "web_1.a-b"
    for bad in ("", "a", "-ab", ".ab", "a b", "a/b", "ä" * 4, "a" * 5000):
        with pytest.raises(Invalid, match="Invalid container name"):
            names.validate(bad)
    generated = {names.generate() for _ in range(200)}
    assert len(generated) > 100
    assert all(names.validate(name) == name and name.count("_") == 1 for name in generated)
    assert names.generate(3)[-1].isdigit()


@pytest.mark.parametrize(
    ("text", "kind", "source", "destination", "writable", "propagation"),
    [
        ("/a:/b", "bind", "/a", "/b", True, "rprivate"),
        ("/a/../c:/b/", "bind", "/c", "/b", True, "rprivate"),
        ("/a:/b:ro", "bind", "/a", "/b", False, "rprivate"),
        ("/a:/b:ro,rshared", "bind", "/a", "/b", False, "rshared"),
        ("/a:/b:z,rw", "bind", "/a", "/b", True, "rprivate"),
        ("named:/b", "volume", "", "/b", True, ""),
        ("named:/b:nocopy", "volume", "", "/b", True, ""),
        ("/b", "volume", "", "/b", True, ""),
    ],
)
def test_binds(text: str, kind: str, source: str, destination: str, writable: bool, propagation: str) -> None:
    point = parse_bind(text)
    assert (point.type, point.source, point.destination) == (kind, source, destination)
    assert (point.rw, point.propagation) == (writable, propagation)
    assert point.anonymous is (text == "/b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "/a:",
        ":/b",
        "/a:b",
        "/a:/",
        "/a:/b:c",
        "/a:/b:ro:x",
        "a b:/c",
        "named:/b:rshared",
        "/a:/b:nocopy",
        "/a:/..",
    ],
)
def test_bad_binds(text: str) -> None:
    with pytest.raises(Invalid):
        parse_bind(text)


def mounted(host: HostConfig, config: Config | None = None) -> dict[str, str]:
    return {point.destination: point.type for point in resolve(config or Config(), host, lambda name: [])}


def test_mounts_stand_before_the_images_volumes_and_no_target_is_named_twice() -> None:
    config = Config(volumes={"/data": {}, "/other": {}})
    host = HostConfig(binds=["/a:/data"], tmpfs={"/t": "size=1m"}, mounts=[Mount(type="tmpfs", target="/m")])
    assert mounted(host, config) == {"/data": "bind", "/other": "volume", "/t": "tmpfs", "/m": "tmpfs"}
    with pytest.raises(Conflict, match="Duplicate mount point: /a"):
        mounted(HostConfig(binds=["/x:/a"], mounts=[Mount(type="tmpfs", target="/a/")]))


@pytest.mark.parametrize(
    "mount",
    [
        Mount(type="bind", target="/a"),
        Mount(type="bind", source="relative", target="/a"),
        Mount(type="bind", source="/a", target="relative"),
        Mount(type="bind", source="/a", target=""),
        Mount(type="tmpfs", source="/a", target="/b"),
        Mount(type="volume", source="a/b", target="/b"),
        Mount(type="nothing", target="/b"),
        Mount(type="", target="/b"),
        Mount(type="bind", source="/a", target="/b", tmpfs_options=TmpfsOptions()),
        Mount(type="tmpfs", target="/b", tmpfs_options=TmpfsOptions(size_bytes=-1)),
    ],
)
def test_bad_mounts(mount: Mount) -> None:
    with pytest.raises(Invalid):
        mounted(HostConfig(mounts=[mount]))


@pytest.mark.parametrize(
    ("text", "expanded"),
    [("80", ["80/tcp"]), ("80/udp", ["80/udp"]), ("80-82/tcp", ["80/tcp", "81/tcp", "82/tcp"]), ("53/UDP", ["53/udp"])],
)
def test_exposed_ports(text: str, expanded: list[str]) -> None:
    assert ports.expand([text]) == expanded


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "80-", "82-80", "a", "80-99999", "/tcp", "80/", "²"])
def test_bad_ports(text: str) -> None:
    if text == "80/":
        assert ports.expand([text]) == ["80/tcp"]
        return
    with pytest.raises(Invalid):
        ports.expand([text])


def test_publish_all_leaves_out_what_is_published_by_hand() -> None:
    config = Config(exposed_ports={"80/tcp": {}, "81/tcp": {}})
    host = HostConfig(publish_all_ports=True, port_bindings={"80/tcp": [PortBinding(host_port="8080")]})
    assert len(ports.requests(config, host)) == 2


PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n7:x:77:78::/seven:\nbroken\n"
GROUP = "root:x:0:\nstaff:x:50:app,root\naudio:x:29:app\napp:x:1000:\n7:x:70:\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text(PASSWD)
    (tmp_path / "etc" / "group").write_text(GROUP)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, [50], "/root"),
        ("app", 1000, 1000, [50, 29], "/home/app"),
        ("1000", 1000, 1000, [50, 29], "/home/app"),
        ("app:audio", 1000, 29, [], "/home/app"),
        ("1000:29", 1000, 29, [], "/home/app"),
        ("4000", 4000, 0, [], "/"),
        ("4000:5000", 4000, 5000, [], "/"),
        ("7", 77, 78, [], "/seven"),
        ("0:7", 0, 70, [], "/root"),
    ],
)
def test_users(root: Path, text: str, uid: int, gid: int, groups: list[int], home: str) -> None:
    assert users.resolve(root, text, []) == users.User(uid, gid, groups, home)


def test_group_add_and_users_that_do_not_exist(root: Path) -> None:
    assert users.resolve(root, "app", ["audio", "123", "staff"]).groups == [50, 29, 123]
    for bad in ("nobody", "app:none", "-1", "99999999999", "app:99999999999", "²"):
        with pytest.raises(Invalid):
            users.resolve(root, bad, [])
    with pytest.raises(Invalid, match="unable to find group none"):
        users.resolve(root, "app", ["none"])


@pytest.mark.parametrize(
    ("text", "number"),
    [("9", 9), ("KILL", 9), ("SIGTERM", 15), ("usr1", 10), ("SIGRTMIN", 34), ("RTMIN+3", 37), ("RTMAX-1", 63)],
)
def test_signals(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "SIGNONE", "-9", "RTMIN+99", "RTMAX+1", "²", "9" * 5000])
def test_bad_signals(text: str) -> None:
    with pytest.raises(Invalid, match="invalid signal"):
        parse_signal(text)


def test_capabilities_by_name() -> None:
    assert capabilities.normalize(["net_admin", "CAP_CHOWN", "all"]) == ["CAP_NET_ADMIN", "CAP_CHOWN", "ALL"]
    assert len(capabilities.DEFAULT) == 14
    assert capabilities.effective([], ["ALL"], False) == []
    assert capabilities.effective(["CHOWN"], ["ALL"], False) == ["CAP_CHOWN"]
    assert "CAP_CHOWN" not in capabilities.effective(["ALL"], ["CHOWN"], False)
    with pytest.raises(Invalid, match="invalid capability"):
        capabilities.normalize(["CAP_EVERYTHING"])


def test_device_rules() -> None:
    devices.validate(HostConfig(device_cgroup_rules=["c 1:3 rwm", "b *:* r", "a 7:* w"]))
    for bad in ("", "c", "c 1:3", "d 1:3 r", "c 1:3 x", "c -1:3 r", "c 1:3 rwmr"):
        with pytest.raises(Invalid, match="device cgroup rule"):
            devices.validate(HostConfig(device_cgroup_rules=[bad]))


@pytest.mark.parametrize("profile", ["{", "[]", "1", '{"defaultAction": 7}', '{"syscalls": "all"}', ""])
def test_bad_seccomp_profiles(profile: str) -> None:
    with pytest.raises((Invalid, Unsupported)):
        seccomp.from_json(profile, [])


def test_seccomp_rules_follow_the_capabilities() -> None:
    profile = (
        '{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": ['
        '{"names": ["read"], "action": "SCMP_ACT_ALLOW"},'
        '{"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}}]}'
    )

    def allowed(*held: str) -> set[str]:
        return {name for rule in seccomp.from_json(profile, held)["syscalls"] for name in rule["names"]}

    assert "mount" not in allowed()
    assert {"read", "mount"} <= allowed("CAP_SYS_ADMIN")


def test_security_options() -> None:
    parsed = security.parse(["no-new-privileges:true", "seccomp=unconfined", "label=disable", "systempaths=unconfined"])
    assert parsed.no_new_privileges
    assert parsed.unconfined_system_paths
    assert parsed.seccomp == "unconfined"
    for bad in ("", "colour=blue", "no-new-privileges=perhaps", "systempaths=some", "seccomp"):
        with pytest.raises(Invalid):
            security.parse([bad])


VERBS = sorted(state._ALLOWED)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("status", list(Status))
def test_every_verb_is_allowed_or_refused_with_words_in_every_state(verb: str, status: Status) -> None:
    if status in state._ALLOWED[verb]:
        state.check(verb, status, "c1")
        return
    with pytest.raises((Conflict, NotModified), match=r"\w+ \w+"):
        state.check(verb, status, "c1")


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1h30m", 5_400_000_000_000),
        ("1.5s", 1_500_000_000),
        ("-10ms", -10_000_000),
        ("+1us", 1_000),
        ("1µs", 1_000),
        ("0", 0),
        (".5s", 500_000_000),
        ("2m0.5s", 120_500_000_000),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "1", "s", "1x", "1h ", "--1s", "1.s.", "²s", "1e3s"])
def test_bad_durations(text: str) -> None:
    with pytest.raises(Invalid):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", 1_700_000_000),
        ("1700000000.5", 1_700_000_000.5),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000),
        ("2023-11-14", 1_699_920_000),
        ("2023-11-14T22", 1_699_999_200),
        ("10m", 1_700_000_000 - 600),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time(text, 1_700_000_000 * 10**9) == int(seconds * 10**9)


def test_times_as_text() -> None:
    assert rfc3339(0) == "0001-01-01T00:00:00Z"
    assert rfc3339(1_700_000_000_500_000_000) == "2023-11-14T22:13:20.5Z"
    spans = {0: "Less than a second", 1: "1 second", 59: "59 seconds", 61: "About a minute", 3600: "About an hour"}
    spans |= {
        7200: "2 hours",
        86400 * 3: "3 days",
        86400 * 21: "3 weeks",
        86400 * 100: "3 months",
        86400 * 800: "2 years",
    }
    assert {seconds: ago(seconds) for seconds in spans} == spans


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("cpu_shares", "CpuShares"),
        ("uts_mode", "UTSMode"),
        ("device_ids", "DeviceIDs"),
        ("blkio_device_read_iops", "BlkioDeviceReadIOps"),
    ],
)
def test_wire_names(name: str, wire: str) -> None:
    assert wire_name(name) == wire


def test_all_errors_are_ours() -> None:
    for kind in (Invalid, Conflict, NotModified, Unsupported):
        assert issubclass(kind, DockwrightError)
