"""The daemon's registry flags, and what `info` shows of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dockwright.api import flags
from dockwright.api.daemon import to_settings
from dockwright.api.render.registries import registry_config
from dockwright.distribution import RegistryOptions
from dockwright.errors import Invalid


def settled(tmp_path: Path, document: dict[str, Any] | None = None, *words: str) -> RegistryOptions:
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(document or {}))
    return to_settings(flags.merge(flags.parse(words), flags.load_file(path, must_exist=True))).registry


def test_mirrors_are_the_hubs_or_of_the_registry_that_is_named(tmp_path: Path) -> None:
    words = [
        "--registry-mirror=https://m.example",
        "--registry-mirror=ghcr.io=https://g.example/v2/x",
        "--registry-mirror",
    ]
    assert settled(tmp_path, None, *words, "*=http://any:5000").mirrors == {
        "docker.io": ("https://m.example",),
        "ghcr.io": ("https://g.example/v2/x",),
        "*": ("http://any:5000",),
    }


def test_the_file_names_mirrors_as_dockerd_or_by_registry(tmp_path: Path) -> None:
    assert settled(tmp_path, {"registry-mirrors": ["https://a", "https://b"]}).mirrors == {
        "docker.io": ("https://a", "https://b")
    }
    by_registry = {"docker.io": "https://a", "quay.io": ["https://b", "https://c?x"[:9]], "*": []}
    assert settled(tmp_path, {"registry-mirrors": by_registry}).mirrors == {
        "docker.io": ("https://a",),
        "quay.io": ("https://b", "https://c"),
    }


def test_a_mirror_with_an_equals_sign_in_its_path_is_an_address(tmp_path: Path) -> None:
    assert settled(tmp_path, None, "--registry-mirror=https://m/a=b").mirrors == {"docker.io": ("https://m/a=b",)}


def test_the_rest_reaches_the_options(tmp_path: Path) -> None:
    document = {
        "insecure-registries": ["r:5000", "10.0.0.0/8"],
        "max-concurrent-downloads": 7,
        "max-concurrent-uploads": 8,
        "max-download-attempts": 9,
        "registry-certs-dirs": ["/a", "/b"],
        "features": {"containerd-snapshotter": True},
    }
    path = tmp_path / "daemon.json"
    path.write_text(json.dumps(document))
    settings = to_settings(flags.merge({}, flags.load_file(path, must_exist=True)))
    assert settings.registry.insecure == ("r:5000", "10.0.0.0/8")
    assert settings.registry.max_attempts == 9
    assert settings.registry.certs_dirs == (Path("/a"), Path("/b"))
    assert (settings.transfers.downloads, settings.transfers.uploads) == (7, 8)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"registry-mirrors": ["ftp://x"]}, "invalid mirror"),
        ({"registry-mirrors": ["nonsense"]}, "invalid mirror"),
        ({"registry-mirrors": ["https://x?y=1"]}, "invalid mirror"),
        ({"registry-mirrors": "https://x"}, "registry-mirrors"),
        ({"insecure-registries": ["http://x"]}, "insecure"),
        ({"insecure-registries": ["10.0.0.0/99"]}, "insecure"),
        ({"max-concurrent-downloads": 0}, "max concurrent downloads"),
        ({"max-concurrent-uploads": -1}, "max concurrent uploads"),
        ({"max-download-attempts": 0}, "max download attempts"),
        ({"max-download-attempts": "many"}, "max-download-attempts"),
        ({"features": {"containerd-snapshotter": False}}, "containerd-snapshotter"),
        ({"features": {"cdi": True}}, "cdi"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, document: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        settled(tmp_path, document)


def test_info_tells_mirrors_and_who_is_insecure_and_no_password() -> None:
    options = RegistryOptions(
        mirrors={"docker.io": ("https://me:hush@m.example",), "quay.io": ("https://q/",), "*": ("https://any",)},
        insecure=("r:5000", "10.0.0.0/8"),
    )
    found = registry_config(options)
    assert found["InsecureRegistryCIDRs"] == ["::1/128", "127.0.0.0/8", "10.0.0.0/8"]
    assert found["Mirrors"] == ["https://m.example/"]
    hub = {"Name": "docker.io", "Mirrors": ["https://m.example/"], "Secure": True, "Official": True}
    assert found["IndexConfigs"]["docker.io"] == hub
    assert found["IndexConfigs"]["r:5000"] == {"Name": "r:5000", "Mirrors": [], "Secure": False, "Official": False}
    assert found["IndexConfigs"]["quay.io"]["Mirrors"] == ["https://q/"]
    assert "hush" not in json.dumps(found)


def test_every_flag_that_is_reloaded_is_a_flag() -> None:
    assert {flag.name for flag in flags.FLAGS} >= flags.RELOADED
