"""Every parser of text from outside: any input gives a value or `errors.Invalid`, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dockwright.api import flags
from dockwright.api.call import decode
from dockwright.api.filters import Filters
from dockwright.api.routes.containers import CreateBody
from dockwright.api.versions import split
from dockwright.archive import tarformat
from dockwright.container import names, ports
from dockwright.container.config import Config, HostConfig
from dockwright.container.detach import Detector
from dockwright.container.detach import parse as parse_keys
from dockwright.container.mounts import clean_destination, parse_bind
from dockwright.container.signals import parse_signal
from dockwright.container.spec import capabilities, devices, seccomp, security
from dockwright.errors import Corrupt, DockwrightError, Invalid, Unsupported
from dockwright.network import parse_mac, parse_port_request
from dockwright.oci import platform, reference
from dockwright.units import parse_duration, parse_time, rfc3339

NOW_NS = 1_700_000_000_000_000_000
# Pieces that make it past the first check of one parser or another, mixed with anything at all.
PIECES = st.sampled_from(
    "80 /tcp tcp udp : - , = . / ctrl- ctrl-p ctrl-[ 127.0.0.1 [::1] host volume ro rw z rshared 1h 30m 1.5s ns µs 2026-01-01 "
    "T12:00:00 Z +02:00 @ sha256: latest busybox docker.io linux amd64 SIG KILL RTMIN+3 CAP_ ALL c b 1:3 *:* rwm ² ٣ \x00".split(
        " "
    )
)
TEXT = st.one_of(st.text(max_size=60), st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=8).map("".join))

PARSERS: dict[str, Callable[[str], object]] = {
    "detach keys": parse_keys,
    "bind": parse_bind,
    "mount target": clean_destination,
    "port": ports.parse,
    "exposed ports": lambda text: ports.expand([text]),
    "published port": lambda text: ports.requests(Config(), msgspec.convert({"PortBindings": {text: []}}, HostConfig)),
    "filters": lambda text: Filters.parse(text, ("label", "name")),
    "time": lambda text: parse_time(text, NOW_NS),
    "duration": parse_duration,
    "reference": reference.parse,
    "tag": reference.parse_tag,
    "platform": platform.parse,
    "signal": parse_signal,
    "container name": names.validate,
    "capability": lambda text: capabilities.normalize([text], "CapAdd"),
    "security option": lambda text: security.parse([text]),
    "seccomp profile": lambda text: seccomp.from_json(text, ["CAP_CHOWN"]),
    "device rule": lambda text: devices.validate(HostConfig(device_cgroup_rules=[text])),
    "API path": split,
    "flag": lambda text: flags.parse(["--" + text]),
    "MAC address": parse_mac,
    "host port": lambda text: parse_port_request(80, "tcp", text, text),
    "short flag": lambda text: flags.parse(["-" + text]),
}


@pytest.mark.parametrize("parser", PARSERS)
@settings(max_examples=150, deadline=None)
@given(text=TEXT)
@example(text="")
@example(text="²")
@example(text="٣")
@example(text="9" * 5000)
@example(text="\ud800")
def test_any_text_gives_a_value_or_invalid(parser: str, text: str) -> None:
    try:
        PARSERS[parser](text)
    except (Invalid, Unsupported):
        pass


@settings(max_examples=200, deadline=None)
@given(raw=st.one_of(st.binary(max_size=200), st.text(max_size=60).map(lambda text: text.encode(errors="replace"))))
@example(raw=b"[" * 100_000)
@example(raw=b'{"Labels": {"a": null}, "Cmd": null}')
def test_any_body_gives_a_config_or_invalid(raw: bytes) -> None:
    for kind in (Config, HostConfig, CreateBody):
        try:
            decode(raw, kind)
        except Invalid:
            pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = [field.encode_name for field in msgspec.structs.fields(HostConfig)]


@settings(max_examples=300, deadline=None)
@given(document=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5))
def test_any_json_in_any_field_gives_a_host_config_or_invalid(document: dict[str, object]) -> None:
    try:
        decode(msgspec.json.encode(document), HostConfig)
    except Invalid:
        pass


@settings(max_examples=200, deadline=None)
@given(block=st.binary(min_size=512, max_size=512))
@example(block=b"\0" * 512)
@example(block=b"\xff" * 512)
def test_any_tar_header_gives_an_entry_or_corrupt(block: bytes) -> None:
    try:
        tarformat.parse_header(block)
    except (Corrupt, Invalid):
        pass


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
@example(data=b"99999999999999999999 path=x\n")
@example(data=b"-5 path=x\n")
def test_any_pax_header_gives_overrides_or_corrupt(data: bytes) -> None:
    try:
        tarformat.parse_pax(data, tarformat.Overrides())
    except (Corrupt, Invalid):
        pass


@settings(deadline=None)
@given(pieces=st.lists(st.binary(max_size=6)), keys=st.binary(min_size=1, max_size=4))
def test_detach_keys_are_found_however_the_input_is_cut(pieces: list[bytes], keys: bytes) -> None:
    whole = b"".join(pieces)
    passed, detached, detector = b"", False, Detector(keys)
    for piece in pieces:
        given, detached = detector.feed(piece)
        passed += given
        if detached:
            break
    once = Detector(keys).feed(whole)
    assert (passed, detached) == once
    if not detached:
        assert keys not in whole
        assert whole.startswith(passed)
        assert len(whole) - len(passed) < len(keys)


@settings(deadline=None)
@given(time_ns=st.integers(min_value=1, max_value=4_000_000_000_000_000_000))
def test_a_time_survives_writing_and_reading(time_ns: int) -> None:
    assert parse_time(rfc3339(time_ns), 0) == time_ns
    seconds, fraction = divmod(time_ns, 10**9)
    assert parse_time(f"{seconds}.{fraction:09d}", 0) == time_ns
    assert rfc3339(time_ns)[:19] == datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def test_every_error_of_a_parser_is_one_of_ours() -> None:
    assert issubclass(Invalid, DockwrightError)
    assert issubclass(Unsupported, DockwrightError)
