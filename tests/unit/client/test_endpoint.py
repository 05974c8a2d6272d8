"""Where the engine is: `-H`, the environment, contexts, the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockwright import errors
from dockwright.client.config import Config
from dockwright.client.contexts import Context, Store, check_name
from dockwright.client.endpoint import Endpoint, Tls, resolve


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    for name in (
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_TLS",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
        "DOCKER_CONFIG",
    ):
        monkeypatch.delenv(name, raising=False)
    return Config.load(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "url", "scheme", "host", "port"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock", "unix", "", 0),
        ("/run/x.sock", "unix:///run/x.sock", "unix", "", 0),
        ("tcp://h:1", "tcp://h:1", "tcp", "h", 1),
        ("h:1", "tcp://h:1", "tcp", "h", 1),
        ("tcp://h", "tcp://h", "tcp", "h", 2375),
        ("https://h", "https://h", "tcp", "h", 2376),
        ("tcp://[::1]:99", "tcp://[::1]:99", "tcp", "::1", 99),
        ("ssh://u@h:22", "ssh://u@h:22", "ssh", "h", 22),
    ],
)
def test_an_address_is_understood(text: str, url: str, scheme: str, host: str, port: int) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.url, endpoint.scheme, endpoint.host, endpoint.port) == (url, scheme, host, port)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://x",
        "tcp://h:x",
        "tcp://h:70000",
        "foo:bar:baz",
        "tcp://[::1",
        "tcp://u@h",
        "ssh://u:p@h",
        "ssh://",
        "ssh://-oX",
    ],
)
def test_an_address_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(errors.Invalid):
        Endpoint.parse(text)


def test_tls_moves_the_default_port() -> None:
    assert Endpoint.parse("tcp://h", Tls()).port == 2376


def test_the_order_is_option_then_environment_then_context(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(config.directory).put(Context("far", host="unix:///far"))
    config.values["currentContext"] = "far"
    assert resolve(config).url == "unix:///far"
    monkeypatch.setenv("DOCKER_HOST", "unix:///env")
    assert resolve(config).url == "unix:///env"
    assert resolve(config, context="far").url == "unix:///far"
    assert resolve(config, host="unix:///opt").url == "unix:///opt"
    with pytest.raises(errors.Invalid, match="both --host and --context"):
        resolve(config, host="unix:///opt", context="far")


def test_the_context_of_the_environment_comes_before_the_configured_one(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(config.directory).put(Context("far", host="unix:///far"))
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert resolve(config).url == "unix:///far"


def test_certificates_of_the_environment_are_found(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text("x")
    monkeypatch.setenv("DOCKER_HOST", "tcp://h")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    tls = resolve(config).tls
    assert tls is not None
    assert (tls.ca, tls.cert, tls.verify) == (str(tmp_path / "ca.pem"), "", True)


def test_a_context_that_does_not_exist_is_told_with_its_file(config: Config) -> None:
    with pytest.raises(errors.NotFound, match=r'context "nope": context not found: open .*meta\.json'):
        resolve(config, context="nope")


def test_a_context_survives_being_stored_with_its_certificates(config: Config) -> None:
    store = Store(config.directory)
    store.put(Context("far", "a place", "tcp://h:1", skip_tls_verify=True), {"ca.pem": b"1"})
    found = store.get("far")
    assert (found.description, found.host, found.skip_tls_verify) == ("a place", "tcp://h:1", True)
    assert store.tls_files("far") == {"ca.pem": b"1"}
    assert store.names() == ["far"]
    assert (Path(store.tls_dir("far")) / "docker" / "ca.pem").stat().st_mode & 0o777 == 0o600
    store.remove("far")
    assert store.names() == []
    with pytest.raises(errors.NotFound):
        store.remove("far")


@pytest.mark.parametrize("name", ["", "default", "a", "../x", "a b", "-a", "a/b"])
def test_a_name_that_could_leave_the_store_is_refused(name: str) -> None:
    with pytest.raises(errors.Invalid):
        check_name(name)


def test_settings_that_are_not_ours_survive_a_change(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"auths":{"r":{"auth":"x"}},"psFormat":"{{.ID}}"}')
    config = Config.load(str(tmp_path))
    config.values["currentContext"] = "far"
    config.save()
    again = Config.load(str(tmp_path))
    assert again.values == {"auths": {"r": {"auth": "x"}}, "psFormat": "{{.ID}}", "currentContext": "far"}
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_a_broken_configuration_is_a_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(errors.Invalid, match=r"config\.json"):
        Config.load(str(tmp_path))
