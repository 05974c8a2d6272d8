"""Manifests, indexes and configurations."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dockwright.errors import Invalid
from dockwright.oci import describe, detect, mediatypes, read_config, read_index, read_manifest, write

SHA = "sha256:" + "ab" * 32
DESCRIPTOR = {"mediaType": "x/y", "digest": SHA, "size": 3}


def test_docker_and_oci_manifests_are_told_apart_by_type_or_shape() -> None:
    assert detect(b'{"mediaType":"%s","config":{}}' % mediatypes.DOCKER_MANIFEST.encode()) == mediatypes.DOCKER_MANIFEST
    assert detect(b'{"schemaVersion":2,"config":{},"layers":[]}') == mediatypes.OCI_MANIFEST
    assert detect(b'{"schemaVersion":2,"manifests":[]}') == mediatypes.OCI_INDEX


def test_schema_1_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="schema 1"):
        detect(b'{"schemaVersion":1,"fsLayers":[]}')


def test_a_document_that_is_both_index_and_manifest_is_refused() -> None:
    with pytest.raises(Invalid, match="ambiguous"):
        detect(b'{"manifests":[],"layers":[],"config":{}}')


def test_nulls_of_go_are_read_as_nothing() -> None:
    config = read_config(
        b'{"config":{"Env":null,"Cmd":null,"Labels":null},"rootfs":{"type":"layers","diff_ids":null},"history":null}'
    )
    assert config.diff_ids == ()
    assert config.run.env is None
    assert read_index(b'{"manifests":null}').manifests is None


def test_dockers_additions_are_read_and_written() -> None:
    body = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5},
            "OnBuild": ["RUN x"],
            "Shell": ["/bin/bash", "-c"],
            "ArgsEscaped": True,
            "StopSignal": "SIGINT",
            "ExposedPorts": {"80/tcp": {}},
        },
        "rootfs": {"type": "layers", "diff_ids": [SHA]},
        "history": [{"created_by": "x", "empty_layer": True}],
    }
    config = read_config(json.dumps(body).encode())
    assert json.loads(write(config)) == body


def test_a_descriptor_with_an_impossible_digest_is_invalid() -> None:
    bad = {"config": DESCRIPTOR, "layers": [DESCRIPTOR | {"digest": "sha256:../../x"}]}
    with pytest.raises(Invalid):
        read_manifest(json.dumps(bad).encode())
    with pytest.raises(Invalid):
        read_manifest(json.dumps({"config": DESCRIPTOR | {"size": -1}}).encode())


def test_a_written_manifest_has_one_form() -> None:
    manifest = read_manifest(json.dumps({"config": DESCRIPTOR, "layers": [DESCRIPTOR]}).encode())
    assert describe(write(manifest), mediatypes.OCI_MANIFEST) == describe(write(manifest), mediatypes.OCI_MANIFEST)
    assert "artifactType" not in json.loads(write(manifest))


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_invalid(content: bytes) -> None:
    for read in (read_manifest, read_index, read_config, detect):
        try:
            read(content)
        except Invalid:
            pass
