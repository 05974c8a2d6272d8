"""Frontend attributes as the builder's options."""

from __future__ import annotations

import pytest

from dockwright.api.buildkit import attributes
from dockwright.container.config import Ulimit
from dockwright.errors import Invalid, Unsupported


def test_nothing_given_is_the_usual_build() -> None:
    asked = attributes.read({})
    assert asked.filename == "Dockerfile"
    assert asked.pull == "missing"
    assert asked.no_cache is False
    assert asked.platforms == ()


def test_arguments_labels_and_contexts_are_told_apart() -> None:
    asked = attributes.read({"build-arg:A": "1", "label:b": "2", "context:c": "local:d", "target": "t"})
    assert asked.options.arguments == {"A": "1"}
    assert asked.options.labels == {"b": "2"}
    assert asked.contexts == {"c": "local:d"}
    assert asked.options.target == "t"


def test_limits_of_steps_are_read() -> None:
    given = {
        "add-hosts": "one=10.0.0.1,two=::1",
        "ulimit": "nofile=10:20,core=0",
        "shm-size": "64",
        "memory": "1000",
        "cpuset-cpus": "",
        "cgroup-parent": "/x",
    }
    del given["cpuset-cpus"]
    limits = attributes.read(given).limits
    assert limits.extra_hosts == ("one:10.0.0.1", "two:::1")
    assert limits.ulimits == (Ulimit(name="nofile", soft=10, hard=20), Ulimit(name="core", soft=0, hard=0))
    assert (limits.shm_size, limits.memory, limits.cgroup_parent) == (64, 1000, "/x")


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, False), ({"no-cache": ""}, True), ({"no-cache": "a,b"}, frozenset({"a", "b"}))],
)
def test_the_cache_is_used_but_for_stages_that_are_named(given: dict[str, str], expected: object) -> None:
    assert attributes.read(given).no_cache == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"platform": "linux/arm64"}, ()),
        ({"platform": "linux/arm64,linux/amd64"}, ("linux/arm64", "linux/amd64")),
        ({"platform": "linux/arm64", "multi-platform": "true"}, ("linux/arm64",)),
        ({"platform": "linux/arm64", "build-arg:BUILDKIT_MULTI_PLATFORM": "1"}, ("linux/arm64",)),
    ],
)
def test_one_platform_is_no_index_unless_asked_for(given: dict[str, str], expected: tuple[str, ...]) -> None:
    asked = attributes.read(given)
    assert tuple(str(one) for one in asked.platforms) == expected
    assert asked.options.platform is not None


def test_caches_to_read_come_as_json_and_as_names() -> None:
    given = {"cache-imports": '[{"Type":"local","Attrs":{"src":"/c"}}]', "cache-from": "a,b:1"}
    assert attributes.read(given).cache_imports == (
        {"src": "/c", "type": "local"},
        {"type": "registry", "ref": "a"},
        {"type": "registry", "ref": "b:1"},
    )


@pytest.mark.parametrize(
    "given",
    [
        {"image-resolve-mode": "sometimes"},
        {"force-network-mode": "bridge"},
        {"add-hosts": "one"},
        {"ulimit": "nofile=many"},
        {"memory": "a lot"},
        {"multi-platform": "perhaps"},
        {"cache-imports": "{"},
        {"platform": "linux/nothing/at/all"},
    ],
    ids=str,
)
def test_a_bad_value_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        attributes.read(given)


@pytest.mark.parametrize("name", ["hostname", "devices", "something-new"])
def test_what_is_not_honoured_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(Unsupported, match=name):
        attributes.read({name: "x"})
