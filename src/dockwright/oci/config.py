"""Image configuration (OCI image-spec 1.1, config.md) with Docker's additions (moby image-spec v1.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from dockwright.errors import Invalid
from dockwright.oci import digest as digests
from dockwright.oci.digest import Digest
from dockwright.oci.platform import Platform

CONFIG_LIMIT = 8 * 1024 * 1024


class Healthcheck(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """How to see whether the container is well. Durations are nanoseconds; 0 means inherit."""

    test: tuple[str, ...] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class RunConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """The `config` of an image: what containers made from it start with."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] | None = None
    env: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: tuple[str, ...] | None = None
    on_build: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: tuple[str, ...] | None = None
    hostname: str = ""
    domainname: str = ""
    # Carried since schema 1; only ever read to be shown.
    mac_address: str = ""
    network_disabled: bool = False


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of an image's making; `empty_layer` when it added no layer."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class RootFS(msgspec.Struct, frozen=True):
    """The layers, base first, by the digest of their uncompressed tar."""

    type: str = "layers"
    diff_ids: tuple[Digest, ...] | None = ()


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The whole configuration document of an image."""

    architecture: str = ""
    os: str = ""
    created: str | None = None
    author: str = ""
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] | None = msgspec.field(default=None, name="os.features")
    config: RunConfig | None = None
    rootfs: RootFS = msgspec.field(default_factory=RootFS)
    history: tuple[History, ...] | None = None
    comment: str = ""
    docker_version: str = ""
    container: str = ""

    @property
    def run(self) -> RunConfig:
        """`config`, empty when the image has none."""
        return self.config or RunConfig()

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers, base first."""
        return self.rootfs.diff_ids or ()

    @property
    def platform(self) -> Platform:
        """What the image runs on."""
        return Platform(self.architecture, self.os, self.os_version, self.os_features, self.variant)


def read_config(content: bytes) -> ImageConfig:
    """Decode an image configuration. Raises `Invalid`."""
    if len(content) > CONFIG_LIMIT:
        raise Invalid(f"image configuration of {len(content)} bytes: the limit is {CONFIG_LIMIT}")
    try:
        config = msgspec.json.decode(content, type=ImageConfig)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"malformed image configuration: {error}") from error
    if config.rootfs.type != "layers":
        raise Invalid(f"image root file system of type {config.rootfs.type!r} is not supported")
    for diff_id in config.diff_ids:
        digests.parse(diff_id)
    return config


def write(document: msgspec.Struct) -> bytes:
    """The JSON of a configuration, manifest or index, always the same bytes for the same values."""
    return msgspec.json.encode(document, order="deterministic")


def chain_ids(diff_ids: Iterable[Digest]) -> list[Digest]:
    """The chain ID of each layer on top of those before it (OCI image-spec 1.1, config.md, Layer ChainID)."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(digests.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain
