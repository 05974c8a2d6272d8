"""pull, push, login, logout, search, image diff and bootstrap against a small engine."""

from __future__ import annotations

import base64
import json
import os
import pty
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.unit.client.server import Engine, answer

from dockwright.cli.main import run
from dockwright.credentials import CredentialFile, Credentials, from_header

DONE = [{"status": "Pulling from x", "id": "latest"}, {"status": "Status: Downloaded newer image"}]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


@pytest.fixture
def engine(fake_engine: Engine, config: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    for name in ("DOCKER_CONTEXT", "DOCKER_API_VERSION", "DOCKER_TLS_VERIFY", "DOCKER_DEFAULT_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", fake_engine.url)
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    monkeypatch.setenv("HOME", str(config))
    fake_engine.answers["POST /images/create"] = stream(*DONE)
    fake_engine.answers["POST /auth"] = answer({"Status": "Login Succeeded", "IdentityToken": ""})
    fake_engine.answers["GET /images/search"] = answer([])
    return fake_engine


def stream(*messages: Any) -> bytes:
    body = b"".join(json.dumps(message).encode() + b"\r\n" for message in messages)
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def asked(engine: Engine, key: str) -> dict[str, Any]:
    return {
        name: values if len(values) > 1 else values[0] for name, values in parse_qs(engine.asked(key).query).items()
    }


@pytest.mark.parametrize(
    ("words", "query", "last"),
    [
        (["pull", "x"], {"fromImage": "x", "tag": "latest"}, "docker.io/library/x:latest"),
        (["image", "pull", "x:1"], {"fromImage": "x", "tag": "1"}, "docker.io/library/x:1"),
        (["pull", "r:5/a/b"], {"fromImage": "r:5/a/b", "tag": "latest"}, "r:5/a/b:latest"),
        (["pull", "-a", "r:5/a"], {"fromImage": "r:5/a"}, "r:5/a"),
        (
            ["pull", "--platform", "linux/arm64", "x"],
            {"fromImage": "x", "tag": "latest", "platform": "linux/arm64"},
            "docker.io/library/x:latest",
        ),
        (
            ["pull", "x@sha256:" + "a" * 64],
            {"fromImage": "x", "tag": "sha256:" + "a" * 64},
            "docker.io/library/x@sha256:" + "a" * 64,
        ),
    ],
)
def test_a_pull_asks_for_it(
    engine: Engine, words: list[str], query: dict[str, str], last: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 0
    assert asked(engine, "POST /images/create") == query
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1] == last
    assert "latest: Pulling from x" in lines
    assert ("Using default tag: latest" in lines) == (query.get("tag") == "latest")


def test_a_quiet_pull_says_the_name_alone(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "-q", "x"]) == 0
    assert capfd.readouterr() == ("docker.io/library/x:latest\n", "")


def test_the_platform_of_the_environment_is_asked_for(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    assert run(["pull", "-q", "x"]) == 0
    assert asked(engine, "POST /images/create")["platform"] == "linux/arm64"


@pytest.mark.parametrize(
    ("words", "query"),
    [
        (["push", "r:5/x:1"], {"tag": "1"}),
        (["push", "r:5/x"], {"tag": "latest"}),
        (["push", "-a", "r:5/x"], {}),
        (
            ["push", "--platform", "linux/arm64", "r:5/x"],
            {"tag": "latest", "platform": '{"architecture":"arm64","os":"linux"}'},
        ),
    ],
)
def test_a_push_asks_for_it(engine: Engine, words: list[str], query: dict[str, str]) -> None:
    engine.answers["POST /images/r%3A5/x/push"] = engine.answers["POST /images/r:5/x/push"] = stream(*DONE)
    assert run(words) == 0
    assert asked(engine, f"POST {engine.requests[-1].path}") == query
    assert engine.requests[-1].path.endswith("/x/push")


def test_a_push_of_one_platform_out_of_several_is_told(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    aux = {
        "manifestPushedInsteadOfIndex": True,
        "originalIndex": {"digest": "sha256:index"},
        "selectedManifest": {"digest": "sha256:one"},
    }
    engine.answers["POST /images/r:5/x/push"] = stream({"status": "1: digest"}, {"progressDetail": {}, "aux": aux})
    assert run(["push", "-q", "r:5/x:1"]) == 0
    out, error = capfd.readouterr()
    assert out == "r:5/x:1\n"
    assert "sha256:index -> sha256:one" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pull", "-a", "x:1"], "tag can't be used with --all-tags/-a"),
        (["push", "-a", "x:1"], "tag can't be used with --all-tags/-a"),
        (["push", "x@sha256:" + "a" * 64], "cannot push a digest reference"),
        (["pull", "UPPER"], "invalid reference format: repository name (library/UPPER) must be lowercase"),
        (
            ["login", "-p", "x", "--password-stdin"],
            "conflicting options: cannot specify both --password and --password-stdin",
        ),
        (["login", "--password-stdin"], "the --password-stdin option requires --username to be set"),
        (["login", "-u", "a"], "Error: Cannot perform an interactive login from a non TTY device"),
        (["image", "diff", "--files", "--packages", "a", "b"], "--files and --packages exclude each other"),
    ],
)
def test_what_contradicts_itself_asks_nothing(
    engine: Engine, words: list[str], message: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"")
    assert run(words) == 1
    assert message in capfd.readouterr().err
    assert not [one for one in engine.requests if one.method == "POST"]


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Let standard input be `data`."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    from dockwright.cli import session
    from dockwright.cli.commands import login

    monkeypatch.setattr(session, "STDIN", reading)
    monkeypatch.setattr(login, "STDIN", reading)


def test_the_error_of_a_pull_is_the_exit_status(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["POST /images/create"] = stream({"errorDetail": {"message": "no space"}, "error": "no space"})
    assert run(["pull", "x:1"]) == 1
    assert capfd.readouterr().err == "no space\n"
    engine.answers["POST /images/create"] = answer({"message": "manifest for x:1 not found"}, 404)
    assert run(["pull", "x:1"]) == 1
    assert capfd.readouterr().err == "Error response from daemon: manifest for x:1 not found\n"


def test_credentials_go_to_the_registry_they_are_for(engine: Engine, config: Path) -> None:
    CredentialFile(config).store("r:5", Credentials("ada", "secret"))
    assert run(["pull", "-q", "r:5/x"]) == 0
    assert from_header(engine.asked("POST /images/create").headers["x-registry-auth"]) == Credentials("ada", "secret")
    assert run(["pull", "-q", "other:5/x"]) == 0
    assert "x-registry-auth" not in engine.asked("POST /images/create").headers
    assert run(["search", "r:5/x"]) == 0
    assert "x-registry-auth" in engine.asked("GET /images/search").headers
    assert run(["search", "x"]) == 0
    assert "x-registry-auth" not in engine.asked("GET /images/search").headers


def test_run_pulls_what_is_missing_with_our_credentials(engine: Engine, config: Path) -> None:
    CredentialFile(config).store("r:5", Credentials("ada", "secret"))
    engine.answers["POST /containers/create"] = answer({"message": "No such image: r:5/x:latest"}, 404)
    assert run(["create", "r:5/x"]) == 1
    assert asked(engine, "POST /images/create") == {"fromImage": "r:5/x", "tag": "latest"}
    assert "x-registry-auth" in engine.asked("POST /images/create").headers


def test_a_login_is_tried_and_kept(
    engine: Engine, config: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"secret\r\n")
    assert run(["login", "-u", "ada", "--password-stdin", "https://r:5/v2/"]) == 0
    assert engine.asked("POST /auth").json() == {"username": "ada", "password": "secret", "serveraddress": "r:5"}
    out, error = capfd.readouterr()
    assert out == "Login Succeeded\n"
    assert f"stored unencrypted in '{config}/config.json'" in error
    assert CredentialFile(config).get("r:5") == Credentials("ada", "secret")


def test_the_password_of_the_command_line_is_warned_about(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["login", "-u", "ada", "-p", "secret"]) == 0
    assert "WARNING! Using --password via the CLI is insecure. Use --password-stdin." in capfd.readouterr().err
    assert engine.asked("POST /auth").json()["serveraddress"] == "https://index.docker.io/v1/"


def test_a_login_that_is_refused_keeps_nothing(engine: Engine, config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["POST /auth"] = answer({"message": "unauthorized: incorrect"}, 401)
    assert run(["login", "-u", "ada", "-p", "wrong", "r:5"]) == 1
    assert "Error response from daemon: unauthorized: incorrect" in capfd.readouterr().err
    assert CredentialFile(config).get("r:5") is None


@pytest.mark.parametrize("secret", [b"\xff\xfe", b"two\nlines", b"\x00"])
def test_a_password_that_nobody_can_type_is_refused(
    engine: Engine, secret: bytes, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, secret)
    assert run(["login", "-u", "ada", "--password-stdin", "r:5"]) == 1
    assert "have to be UTF-8" in capfd.readouterr().err
    assert not [one for one in engine.requests if one.path == "/auth"]


def test_what_is_known_is_tried_first(engine: Engine, config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    CredentialFile(config).store("r:5", Credentials("ada", "secret"))
    assert run(["login", "r:5"]) == 0
    out, error = capfd.readouterr()
    assert out == "Login Succeeded\n"
    assert error.startswith("Authenticating with existing credentials... [Username: ada]\n")
    assert "unencrypted" not in error  # nothing new is stored


def test_an_identity_token_is_kept_in_place_of_the_password(engine: Engine, config: Path) -> None:
    engine.answers["POST /auth"] = answer({"Status": "Login Succeeded", "IdentityToken": "refresh"})
    assert run(["login", "-u", "ada", "-p", "secret", "r:5"]) == 0
    assert (
        "secret"
        not in base64.b64decode(json.loads((config / "config.json").read_text())["auths"]["r:5"]["auth"]).decode()
    )
    assert CredentialFile(config).get("r:5") == Credentials("ada", identity_token="refresh")


def test_a_default_helper_is_chosen_where_nothing_is_kept_yet(
    engine: Engine, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("pass", "#!/bin/sh\n"), ("docker-credential-pass", f"#!/bin/sh\ncat >{tmp_path}/told-$1\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    # The helper says nothing when it is asked: that is no secret at all.
    (programs / "docker-credential-pass").write_text(
        f"#!/bin/sh\ncat >{tmp_path}/told-$1\n[ $1 != get ] || {{ echo credentials not found in native keychain; exit 1; }}\n"
    )
    assert run(["login", "-u", "ada", "-p", "secret", "r:5"]) == 0
    document = json.loads((config / "config.json").read_text())
    assert document == {"credsStore": "pass", "auths": {"r:5": {}}}
    assert json.loads((tmp_path / "told-store").read_text()) == {
        "ServerURL": "r:5",
        "Username": "ada",
        "Secret": "secret",
    }
    assert "unencrypted" not in capfd.readouterr().err


def test_a_login_asks_in_a_terminal_and_does_not_show_the_password(
    engine: Engine, config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from dockwright.cli import session
    from dockwright.cli.commands import login

    leader, follower = pty.openpty()
    monkeypatch.setattr(session, "STDIN", follower)
    monkeypatch.setattr(login, "STDIN", follower)
    shown = bytearray()

    def person() -> None:
        os.write(leader, b"ada\n")
        for prompt in iter(lambda: capfd.readouterr().err, "never"):
            if "Password: " in prompt:
                break
        os.write(leader, b"secret\n")

    typing = threading.Thread(target=person)
    typing.start()
    assert run(["login", "r:5"]) == 0
    typing.join()
    os.set_blocking(leader, False)
    shown += os.read(leader, 4096)
    os.close(leader)
    os.close(follower)
    assert b"ada" in shown
    assert b"secret" not in shown
    assert CredentialFile(config).get("r:5") == Credentials("ada", "secret")


def test_a_logout_forgets(engine: Engine, config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    CredentialFile(config).store("r:5", Credentials("ada", "secret"))
    assert run(["logout", "r:5"]) == 0
    assert capfd.readouterr().out == "Removing login credentials for r:5\n"
    assert CredentialFile(config).get("r:5") is None
    assert run(["logout"]) == 0
    assert capfd.readouterr().out == "Removing login credentials for https://index.docker.io/v1/\n"


FOUND = [
    {"name": "busybox", "description": "small\nand " + "very " * 20, "star_count": 7, "is_official": True},
    {"name": "me/busybox", "description": "", "star_count": 0, "is_official": False},
]


def test_a_search_asks_with_its_options_and_prints_a_table(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["GET /images/search"] = answer(FOUND)
    assert run(["search", "--limit", "5", "-f", "stars=3", "-f", "is-official=true", "busybox"]) == 0
    assert asked(engine, "GET /images/search") == {
        "term": "busybox", "limit": "5", "filters": '{"stars":{"3":true},"is-official":{"true":true}}'
    }  # fmt: skip
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert lines[1].split() == ["busybox", "small", "and", *["very"] * 6, "very…", "7", "[OK]"]
    assert lines[2].split() == ["me/busybox", "0"]
    assert run(["search", "--no-trunc", "--format", "{{.Description}}|{{.IsOfficial}}", "busybox"]) == 0
    assert capfd.readouterr().out.splitlines()[0].endswith("very very |[OK]")
    assert run(["search", "--format", "json", "busybox"]) == 0
    assert [json.loads(line)["IsOfficial"] for line in capfd.readouterr().out.splitlines()] == ["true", "false"]


def test_the_difference_of_two_images_is_listed(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.answers["GET /images/a/compare"] = answer(
        {
            "Before": "sha256:1",
            "After": "sha256:2",
            "Files": [
                {"Kind": "added", "Path": "/new", "SizeBefore": 0, "SizeAfter": 1500, "What": []},
                {"Kind": "changed", "Path": "/c", "SizeBefore": 1500, "SizeAfter": 500, "What": ["size", "content"]},
                {"Kind": "removed", "Path": "/old", "SizeBefore": 20, "SizeAfter": 0, "What": []},
            ],
            "Packages": [
                {"Kind": "changed", "Name": "libc6", "Architecture": "amd64", "VersionBefore": "1", "VersionAfter": "2"},
                {"Kind": "added", "Name": "vim", "Architecture": "amd64", "VersionBefore": "", "VersionAfter": "9"},
            ],
        }
    )  # fmt: skip
    assert run(["image", "diff", "--platform", "linux/amd64", "a", "b:1"]) == 0
    assert asked(engine, "GET /images/a/compare") == {
        "with": "b:1", "platform": '{"architecture":"amd64","os":"linux"}'
    }  # fmt: skip
    assert capfd.readouterr().out.splitlines() == [
        "C package libc6 1 -> 2",
        "A package vim 9",
        "A /new +1.5kB",
        "C /c -1kB (size, content)",
        "D /old -20B",
    ]
    assert run(["image", "diff", "--files", "a", "b"]) == 0
    assert "package" not in capfd.readouterr().out
    assert run(["image", "diff", "--packages", "--format", "{{len .Files}}", "a", "b"]) == 0
    assert capfd.readouterr().out == "3\n"


def test_a_bootstrap_asks_with_its_options_and_prints_the_id(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    steps = [
        {"status": "Reading", "id": "bookworm", "progressDetail": {}},
        {"status": "Done", "aux": {"ID": "sha256:1"}},
    ]
    engine.answers["POST /images/bootstrap"] = stream(*steps)
    words = [
        "--archive-date",
        "20260101T000000Z",
        "--mirror",
        "http://m",
        "--package",
        "a",
        "--package",
        "b",
        "-t",
        "x:1",
    ]
    assert run(["image", "bootstrap", *words, "debian:bookworm"]) == 0
    assert asked(engine, "POST /images/bootstrap") == {
        "name": "debian:bookworm", "tag": "x:1", "mirror": "http://m", "archive-date": "20260101T000000Z",
        "package": ["a", "b"],
    }  # fmt: skip
    assert capfd.readouterr().out == "bookworm: Reading\nsha256:1\n"
    assert run(["image", "bootstrap", "-q", "debian:bookworm"]) == 0
    assert capfd.readouterr().out == "sha256:1\n"


def test_lists_of_manifests_need_a_list(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    for words in (["push", "x"], ["rm", "x"]):
        assert run(["manifest", *words]) == 1
        assert "No such manifest: docker.io/library/x:latest" in capfd.readouterr().err
    assert run(["manifest", "annotate", "x", "y", "--os", "linux"]) == 1
    assert "manifest for image docker.io/library/y:latest does not exist in" in capfd.readouterr().err


def test_a_broken_list_is_told(engine: Engine, config: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory = config / "manifests" / "docker.io_library_x-latest"
    directory.mkdir(parents=True)
    for text in ("{", "[]", '{"Ref": "x"}', json.dumps({"Descriptor": {"mediaType": "m", "digest": "sha256:" + "0" * 64,
                 "size": 2}, "Raw": "e30="})):  # fmt: skip
        (directory / "one").write_text(text)
        assert run(["manifest", "inspect", "x"]) == 1
        assert str(directory / "one") in capfd.readouterr().err
