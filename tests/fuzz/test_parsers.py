"""Whatever comes in: a value, or an error that says what is wrong."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from dockwright.api.call import decode
from dockwright.api.filters import Filters
from dockwright.api.routes.containers import CreateBody
from dockwright.container import names, ports
from dockwright.container.detach import Detector, parse
from dockwright.container.mounts import clean_destination, parse_bind
from dockwright.container.signals import parse_signal
from dockwright.container.spec import seccomp, security
from dockwright.errors import DockwrightError, Invalid
from dockwright.network import parse_mac, parse_port_request
from dockwright.oci import reference
from dockwright.units import parse_duration, parse_time

texts = st.text(max_size=60)
nearly = st.text(alphabet="abcXYZ0189:/.,-_=~ ctrl\0é", max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(texts | nearly)
def test_parsers_of_one_text(text: str) -> None:
    for parser in (
        parse,
        parse_bind,
        clean_destination,
        parse_signal,
        names.validate,
        ports.parse,
        parse_mac,
        parse_duration,
        reference.parse,
        lambda value: parse_time(value, 0),
        lambda value: security.parse([value]),
        lambda value: seccomp.from_json(value, []),
        lambda value: ports.expand([value]),
        lambda value: parse_port_request(80, "tcp", value, value),
        lambda value: Filters.parse(value, ("label",)),
    ):
        try:
            parser(text)
        except DockwrightError:
            pass


@given(st.binary(max_size=200))
def test_bodies_of_any_bytes(raw: bytes) -> None:
    try:
        decode(raw, CreateBody)
    except Invalid:
        pass


@given(
    st.dictionaries(
        st.sampled_from(["Image", "Cmd", "Env", "HostConfig", "Labels", "Volumes", "NetworkingConfig"]), json_values
    )
)
def test_bodies_of_any_shape(document: dict[str, object]) -> None:
    try:
        decode(json.dumps(document).encode(), CreateBody)
    except Invalid:
        pass


@given(st.lists(st.binary(max_size=8), max_size=8), st.binary(min_size=1, max_size=4))
def test_the_detector_loses_nothing(pieces: list[bytes], keys: bytes) -> None:
    detector = Detector(keys)
    passed = b""
    for piece in pieces:
        data, detached = detector.feed(piece)
        passed += data
        if detached:
            return
    whole = b"".join(pieces)
    held = len(whole) - len(passed)
    assert held < len(keys)
    assert whole.startswith(passed)
