"""The form of a build cache, `application/vnd.buildkit.cacheconfig.v0`: bytes in, values out.

BuildKit's distributable cache: `layers`, each with its blob and the one below it; `records`, each with the digest of a key, the
layers that are its results, and links to the records of its inputs. A key is an opaque digest to everybody but its builder: our
records are read by BuildKit and its by us, and what either finds there is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from dockwright.errors import Corrupt
from dockwright.oci import Descriptor, Digest, mediatypes
from dockwright.oci import digest as digests

CONFIG = "application/vnd.buildkit.cacheconfig.v0"
UNCOMPRESSED = "containerd.io/uncompressed"
CREATED = "buildkit/createdat"
_DEPTH = 1024
_T = TypeVar("_T")

# A step's result: each layer's blob and diff ID, base first.
Layers = tuple[tuple[Descriptor, Digest], ...]


class _About(msgspec.Struct, rename="camel", omit_defaults=True):
    media_type: str = ""
    diff_id: str = msgspec.field(name="diffID", default="")
    size: int = 0
    created_at: str = "0001-01-01T00:00:00Z"


class _Layer(msgspec.Struct):
    blob: str = ""
    parent: int = -1
    annotations: _About | None = None


class _Result(msgspec.Struct):
    layer: int
    created_at: str = msgspec.field(name="createdAt", default="0001-01-01T00:00:00Z")


class _Chain(msgspec.Struct):
    layers: tuple[int, ...] = ()


class _Record(msgspec.Struct, omit_defaults=True):
    digest: str = ""
    layers: tuple[_Result, ...] | None = None
    chains: tuple[_Chain, ...] | None = None


class _Config(msgspec.Struct):
    layers: tuple[_Layer, ...] | None = None
    records: tuple[_Record, ...] | None = None


def write(records: Mapping[str, Layers], created: str) -> bytes:
    """The configuration blob for `records`, keys and their results; `created` (RFC 3339) is told of all."""
    numbers: dict[tuple[Digest, ...], int] = {}
    found: list[_Layer] = []
    results = []
    for key in sorted(records):
        parent = -1
        blobs: tuple[Digest, ...] = ()
        for blob, diff_id in records[key]:
            blobs = (*blobs, blob.digest)
            if blobs not in numbers:
                numbers[blobs] = len(found)
                found.append(_Layer(blob.digest, parent, _About(blob.media_type, diff_id, blob.size, created)))
            parent = numbers[blobs]
        if parent >= 0:
            results.append(_Record(key, (_Result(parent, created),)))
    return msgspec.json.encode(_Config(tuple(found), tuple(results)))


def write_inline(records: Mapping[str, int], created: str) -> bytes:
    """The records to go into an image's configuration: keys, and the number of the image's layer that is the result's last."""
    return msgspec.json.encode([_Record(key, (_Result(records[key], created),)) for key in sorted(records)])


def layer_annotations(diff_id: Digest, created: str) -> dict[str, str]:
    """What BuildKit wants to know of a layer in a cache's manifest."""
    return {UNCOMPRESSED: diff_id, CREATED: created}


def read(content: bytes, blobs: Iterable[Descriptor]) -> dict[str, Layers]:
    """The results by key; `blobs` are those of the manifest. A result that lacks a blob is left out.

    Raises `Corrupt` for what is no cache.
    """
    config = _decoded(content, _Config)
    known = {one.digest: one for one in blobs}
    layers = config.layers or ()
    found: dict[str, Layers] = {}
    for record in config.records or ():
        numbers = [_with_parents(result.layer, layers) for result in record.layers or ()]
        numbers += [list(chain.layers) for chain in record.chains or ()]
        for chosen in numbers:
            result = [_described(number, layers, known) for number in chosen]
            whole = tuple(one for one in result if one is not None)
            if whole and len(whole) == len(result):
                found.setdefault(record.digest, whole)
    return found


def read_inline(content: bytes, image: Sequence[tuple[Descriptor, Digest]]) -> dict[str, Layers]:
    """The results by key of the records in an image's configuration; `image` are its layers. Raises `Corrupt`."""
    found: dict[str, Layers] = {}
    for record in _decoded(content, tuple[_Record, ...]):
        for result in record.layers or ():
            if not 0 <= result.layer < len(image):
                raise Corrupt(f"inline cache: there is no layer {result.layer}")
            found.setdefault(record.digest, tuple(image[: result.layer + 1]))
        for chain in record.chains or ():
            if any(not 0 <= number < len(image) for number in chain.layers):
                raise Corrupt("inline cache: a result names a layer that is not there")
            if chain.layers:
                found.setdefault(record.digest, tuple(image[number] for number in chain.layers))
    return found


def _with_parents(number: int, layers: Sequence[_Layer]) -> list[int]:
    """The layer and all below it, base first."""
    found: list[int] = []
    while number != -1:
        if not 0 <= number < len(layers) or len(found) > _DEPTH or number in found:
            raise Corrupt(f"build cache: layer {number} is not there, or below itself")
        found.append(number)
        number = layers[number].parent
    return found[::-1]


def _described(
    number: int, layers: Sequence[_Layer], known: Mapping[Digest, Descriptor]
) -> tuple[Descriptor, Digest] | None:
    if not 0 <= number < len(layers):
        raise Corrupt(f"build cache: there is no layer {number}")
    layer = layers[number]
    blob = known.get(Digest(layer.blob))
    if blob is None:
        return None
    told = layer.annotations.diff_id if layer.annotations else ""
    diff_id = told or (blob.annotations or {}).get(UNCOMPRESSED, "")
    if not diff_id or not mediatypes.is_layer(blob.media_type):
        return None
    return Descriptor(blob.media_type, blob.digest, blob.size), digests.parse(diff_id)


def _decoded(content: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"malformed build cache: {error}") from error
