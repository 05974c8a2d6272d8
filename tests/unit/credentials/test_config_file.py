"""config.json as Docker's client writes it, and as people and other tools write it."""

from __future__ import annotations

import base64
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dockwright.credentials import HUB, CredentialFile, Credentials, Helper
from dockwright.errors import HostFailure, Invalid

ADA = Credentials("ada", "love:lace")


def write(directory: Path, document: object) -> CredentialFile:
    directory.mkdir(exist_ok=True)
    text = document if isinstance(document, str) else json.dumps(document)
    (directory / "config.json").write_text(text)
    return CredentialFile(directory)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_what_was_stored_is_found_again_under_every_name_of_the_server(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / "fresh")
    assert file.get("registry:5000") is None
    assert file.store("https://registry:5000/v2/", ADA) is None
    for name in ("registry:5000", "http://registry:5000", "https://registry:5000/v2/"):
        assert file.get(name) == ADA
    assert file.get("registry:5001") is None
    assert file.list() == {"registry:5000": "ada"}


@pytest.mark.parametrize("name", ["", "docker.io", "index.docker.io", "registry-1.docker.io", HUB])
def test_the_hub_is_kept_under_its_old_url(tmp_path: Path, name: str) -> None:
    file = CredentialFile(tmp_path)
    file.store(name, ADA)
    assert list(json.loads(file.path.read_bytes())["auths"]) == [HUB]
    assert file.get("docker.io") == ADA


def test_the_file_is_laid_out_as_docker_lays_it_out_and_nobody_else_reads_it(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / "new")
    file.store("r:1", ADA)
    auth = encoded("ada:love:lace")
    assert file.path.read_text() == f'{{\n\t"auths": {{\n\t\t"r:1": {{\n\t\t\t"auth": "{auth}"\n\t\t}}\n\t}}\n}}'
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.directory.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_closed_when_it_is_written(tmp_path: Path) -> None:
    file = write(tmp_path, {})
    file.path.chmod(0o644)
    file.store("r:1", ADA)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_what_is_not_understood_survives_byte_for_byte(tmp_path: Path) -> None:
    odd = '{"proxies": {"default":  {"x": 1.0e+2, "y": [1,\n 2]}}, "detachKeys": "ctrl-\\u0065", "big": 123456789012345678901234567890,'
    other = '{"auth":"eDp5",  "note": 1.50}'
    file = write(tmp_path, odd + ' "auths": {"other:1": ' + other + "}}")
    file.store("r:1", ADA)
    text = file.path.read_text()
    for kept in (
        '{"default":  {"x": 1.0e+2, "y": [1,\n 2]}}',
        "123456789012345678901234567890",
        other,
        '"ctrl-\\u0065"',
    ):
        assert kept in text
    assert file.get("other:1") == Credentials("x", "y")
    file.erase("r:1")
    assert file.get("r:1") is None
    assert other in file.path.read_text()


def test_erasing_takes_all_spellings_and_says_whether_there_was_any(tmp_path: Path) -> None:
    auth = {"auth": encoded("a:b")}
    file = write(tmp_path, {"auths": {"r:1": auth, "https://r:1": auth, "http://r:1/v1/": auth, "r:2": auth}})
    assert file.erase("r:1") is True
    assert file.list() == {"r:2": "a"}
    before = file.path.read_bytes()
    assert file.erase("r:1") is False
    assert file.path.read_bytes() == before


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "settings.json"
    real.write_text("{}")
    (tmp_path / "config.json").symlink_to(real)
    CredentialFile(tmp_path).store("r:1", ADA)
    assert (tmp_path / "config.json").is_symlink()
    assert "r:1" in real.read_text()
    assert [path.name for path in real.parent.iterdir()] == ["settings.json"]


def test_logins_side_by_side_keep_one_anothers_entries(tmp_path: Path) -> None:
    names = [f"r{number}:5000" for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: CredentialFile(tmp_path).store(name, ADA), names))
    assert sorted(CredentialFile(tmp_path).list()) == sorted(names)


def test_tokens_are_kept_in_place_of_the_password(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path)
    file.store("r:1", Credentials("ada", "secret", identity_token="refresh"))
    assert "secret" not in base64.b64decode(json.loads(file.path.read_bytes())["auths"]["r:1"]["auth"]).decode()
    assert file.get("r:1") == Credentials("ada", "", identity_token="refresh")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"auth": encoded("u:p")}, Credentials("u", "p")),
        ({"auth": encoded("u:p\x00\x00")}, Credentials("u", "p")),
        ({"auth": encoded("u:p").rstrip("=")}, Credentials("u", "p")),
        ({"username": "u", "password": "p"}, Credentials("u", "p")),
        ({"auth": encoded("u:"), "identitytoken": "t"}, Credentials("u", "", "t")),
        ({"registrytoken": "bearer"}, Credentials(registry_token="bearer")),
        ({"email": None, "auth": None}, None),
        ({}, None),
    ],
)
def test_entries_as_other_tools_write_them(tmp_path: Path, entry: object, expected: Credentials | None) -> None:
    assert write(tmp_path, {"auths": {"r:1": entry}}).get("r:1") == expected


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '"x"',
        '{"auths": []}',
        '{"auths": {"r:1": 5}}',
        '{"auths": {"r:1": {"auth": "?"}}}',
        "\xff{}",
        "[" * 5000,
    ]
    + [json.dumps({"auths": {"r:1": {"auth": encoded("nocolon")}}})],
)
def test_a_broken_file_is_told_and_left_alone(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(Invalid):
        file.get("r:1")
    assert file.path.read_text() == text


def test_the_environment_comes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CredentialFile(tmp_path)
    file.store("r:1", ADA)
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {"r:1": {"auth": encoded("ci:token")}}}))
    assert file.get("r:1") == Credentials("ci", "token")
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", "{")
    with pytest.raises(Invalid, match="DOCKER_AUTH_CONFIG"):
        file.get("r:1")


HELPER = """#!/bin/sh
# Keeps one file a server below $0.d; NOTE is where each call is told.
d="$0.d"; mkdir -p "$d"
case "$1" in
  store) body=$(cat); name=$(printf %s "$body" | sed 's/.*"ServerURL": "\\([^"]*\\)".*/\\1/' | tr / _); printf %s "$body" >"$d/$name";;
  get) name=$(cat | tr / _); [ -f "$d/$name" ] || { echo credentials not found in native keychain; exit 1; }; cat "$d/$name";;
  erase) name=$(cat | tr / _); rm -f "$d/$name";;
  list) printf '{"listed:1": "someone"}';;
esac
"""


@pytest.fixture
def helpers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    for name in ("vault", "other"):
        program(directory, name, HELPER)
    return directory


def program(directory: Path, name: str, text: str) -> None:
    path = directory / f"docker-credential-{name}"
    path.write_text(text)
    path.chmod(0o755)


def test_a_store_keeps_the_secret_and_the_file_only_that_there_is_one(tmp_path: Path, helpers: Path) -> None:
    file = write(tmp_path / "c", {"credsStore": "vault"})
    used = file.store("r:1", ADA)
    assert isinstance(used, Helper) and used.name == "vault"
    assert json.loads(file.path.read_bytes())["auths"] == {"r:1": {}}
    assert file.get("https://r:1/v2/") == ADA
    assert file.list()["listed:1"] == "someone"
    assert file.erase("r:1") is True
    assert file.get("r:1") is None
    assert not list((helpers / "docker-credential-vault.d").iterdir())


def test_helpers_by_server_come_before_the_store_and_an_empty_one_means_the_file(tmp_path: Path, helpers: Path) -> None:
    file = write(
        tmp_path / "c", {"credsStore": "vault", "credHelpers": {"r:1": "other", "plain:1": "", "docker.io": "other"}}
    )
    used = file.store("r:1", ADA)
    assert used is not None and used.name == "other"
    assert file.store("plain:1", ADA) is None
    assert "auth" in json.loads(file.path.read_bytes())["auths"]["plain:1"]
    hub = file.store("", ADA)
    assert hub is not None and hub.name == "other"
    assert file.get("docker.io") == file.get("plain:1") == ADA


def test_a_helper_keeps_an_identity_token_as_such(tmp_path: Path, helpers: Path) -> None:
    file = write(tmp_path / "c", {"credsStore": "vault"})
    file.store("r:1", Credentials("ada", identity_token="refresh"))
    assert file.get("r:1") == Credentials(identity_token="refresh")


def test_everything_that_is_known_can_be_handed_on(tmp_path: Path, helpers: Path) -> None:
    file = write(tmp_path / "c", {"credHelpers": {"r:1": "vault"}})
    file.store("r:1", ADA)
    file.store("r:2", Credentials("eve", identity_token="refresh"))
    copy = write(tmp_path / "copy", {"auths": file.plain()})
    assert copy.get("r:1") == ADA
    assert copy.get("r:2") == Credentials("eve", identity_token="refresh")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho the vault is sealed; exit 3\n", "the vault is sealed"),
        ("#!/bin/sh\necho '[1]'\n", "JSON"),
        ('#!/bin/sh\necho \'{"Secret": "hush\'\n', "JSON"),
    ],
)
def test_a_helper_that_fails_is_named_and_its_words_are_told(
    tmp_path: Path, helpers: Path, script: str, said: str
) -> None:
    program(helpers, "vault", script)
    with pytest.raises(HostFailure, match=f"docker-credential-vault.*{said}") as caught:
        write(tmp_path / "c", {"credsStore": "vault"}).get("r:1")
    assert "hush" not in str(caught.value)


def test_a_helper_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HostFailure, match="docker-credential-nowhere"):
        write(tmp_path, {"credsStore": "nowhere"}).get("r:1")


@pytest.mark.parametrize("name", ["../../evil", "a/b", ""])
def test_a_helper_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(Invalid):
        Helper(name)


def test_choosing_a_store_keeps_the_rest(tmp_path: Path) -> None:
    file = write(tmp_path, '{"x": 1.0}')
    assert not file.holds_any
    file.choose_store("vault")
    assert file.holds_any
    assert file.path.read_text() == '{\n\t"x": 1.0,\n\t"credsStore": "vault"\n}'
