import pytest

from dockwright.errors import Invalid
from dockwright.logs import LogInfo, check
from dockwright.logs.options import all_attributes, attributes, size_bytes, tag


@pytest.mark.parametrize("driver", ["json-file", "local", "journald", "syslog"])
def test_an_unknown_option_is_refused_in_dockers_words(driver: str) -> None:
    with pytest.raises(Invalid, match=f"^unknown log opt 'colour' for {driver} log driver$"):
        check(driver, {"colour": "red"})


def test_an_unknown_driver_is_refused() -> None:
    with pytest.raises(Invalid, match="no log driver named 'splunk' is registered"):
        check("splunk", {})


@pytest.mark.parametrize(
    ("driver", "options", "message"),
    [
        ("json-file", {"max-size": "x"}, "invalid size: 'x'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
        ("json-file", {"max-file": "many"}, "invalid syntax"),
        ("json-file", {"compress": "maybe"}, "invalid syntax"),
        ("json-file", {"compress": "true", "max-file": "1"}, "compress cannot be true"),
        ("local", {"max-size": "-1"}, "invalid size"),
        ("json-file", {"mode": "fast"}, "logging mode not supported: fast"),
        ("json-file", {"max-buffer-size": "4m"}, "only supported with 'mode=non-blocking'"),
        ("json-file", {"labels-regex": "("}, "error parsing regexp"),
        ("json-file", {"tag": "{{.Colour}}"}, "no field Colour"),
        ("json-file", {"tag": "{{upper .Name}}"}, "only fields"),
        ("syslog", {"syslog-address": "ftp://x"}, "unsupported scheme: 'ftp'"),
        ("syslog", {"syslog-address": "unix:///nowhere"}, "no such file"),
        ("syslog", {"syslog-facility": "nobody"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "rfc1"}, "Invalid syslog format"),
        ("journald", {"max-size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
    ],
)
def test_bad_options_are_refused(driver: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        check(driver, options)


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("none", {"anything": "goes"}),
        ("json-file", {"max-size": "10m", "max-file": "3", "compress": "true", "labels": "a,b", "tag": "{{.Name}}"}),
        ("local", {"mode": "non-blocking", "max-buffer-size": "4m"}),
        ("syslog", {"syslog-address": "udp://127.0.0.1", "syslog-facility": "local7", "cache-disabled": "true"}),
    ],
)
def test_good_options_are_taken(driver: str, options: dict[str, str]) -> None:
    check(driver, options)


@pytest.mark.parametrize(
    ("text", "size"), [("10", 10), ("10b", 10), ("10k", 10_000), ("1.5MB", 1_500_000), ("2GiB", 2 * 10**9)]
)
def test_sizes_are_powers_of_1000(text: str, size: int) -> None:
    assert size_bytes(text, "max-size") == size


def test_labels_and_variables_are_selected(info: LogInfo) -> None:
    options = {"labels": "team,none", "env": "HOME", "env-regex": "^TEAM_"}
    assert attributes(info, options) == {"team": "red", "HOME": "/root", "TEAM_COLOR": "blue"}
    assert attributes(info, {"labels-regex": "^t"}) == {"team": "red", "tier": "front"}


def test_a_tag_is_filled_in(info: LogInfo) -> None:
    template = "{{.ImageName}}/{{ .Name }}/{{.ID}}/{{.ImageID}}"
    assert tag(info, {"tag": template}) == "debian:bookworm/web/cccccccccccc/aaaaaaaaaaaa"
    assert tag(info, {}, "{{.ID}}") == "c" * 12
    assert all_attributes(info, {}) == {}
    assert all_attributes(info, {"tag": "x"}) == {"tag": "x"}
