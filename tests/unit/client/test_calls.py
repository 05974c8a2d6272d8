"""Calls as requests: paths, queries and bodies."""

from __future__ import annotations

import pytest

from dockwright.client.call import Call, quote
from dockwright.client.calls import containers, execs, images, system


@pytest.mark.parametrize(
    ("text", "expected"),
    [("web-1", "web-1"), ("a/b", "a%2Fb"), ("ä b", "%C3%A4%20b"), ("../x", "..%2Fx"), ("a?b#c", "a%3Fb%23c")],
)
def test_a_name_stays_one_segment_of_the_path(text: str, expected: str) -> None:
    assert quote(text) == expected


def test_images_keep_the_slashes_and_colons_of_their_names() -> None:
    assert images.inspect("registry:5000/a/b:c").target == "/images/registry:5000/a/b:c/json"


@pytest.mark.parametrize(
    ("call", "method", "target"),
    [
        (containers.list(all=True, limit=3, filters={"status": ["exited"]}), "GET",
         "/containers/json?all=1&limit=3&filters=%7B%22status%22%3A%7B%22exited%22%3Atrue%7D%7D"),
        (containers.list(), "GET", "/containers/json"),
        (containers.stop("a", timeout_s=0), "POST", "/containers/a/stop?t=0"),
        (containers.stop("a"), "POST", "/containers/a/stop"),
        (containers.remove("a", force=True, volumes=True), "DELETE", "/containers/a?force=1&v=1"),
        (containers.commit("a", pause=False, changes=["CMD a", "ENV b=c"]), "POST",
         "/commit?container=a&changes=CMD%20a&changes=ENV%20b%3Dc&pause=0"),
        (containers.stats("a", stream=False), "GET", "/containers/a/stats?stream=0"),
        (execs.resize("e", height=2, width=3), "POST", "/exec/e/resize?h=2&w=3"),
        (images.save(["a", "b"]), "GET", "/images/get?names=a&names=b"),
        (images.remove("a", prune=False), "DELETE", "/images/a?noprune=1"),
        (system.inspect("plugins", "a"), "GET", "/plugins/a/json"),
    ],
)  # fmt: skip
def test_a_call_is_the_request_the_api_names(call: Call, method: str, target: str) -> None:
    assert (call.method, call.target) == (method, target)


def test_a_json_body_says_what_it_is() -> None:
    call = containers.create({"Image": "x"}, name="n")
    assert call.body == b'{"Image":"x"}'
    assert ("Content-Type", "application/json") in call.headers
