"""A definition taken apart: its operations, each after those it needs, and which result of which one it is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from dockwright.buildkit.proto.llb_pb2 import Definition, Op, OpMetadata
from dockwright.errors import Invalid
from dockwright.oci import digest as digests

# More than any client makes; each may become a step.
OPERATIONS_LIMIT = 20_000


@dataclass(frozen=True)
class Program:
    """`ops` by digest, in an order in which they can be translated. The result is number `index` of `result`; an empty
    `result` is the empty tree."""

    ops: Mapping[str, Op]
    metadata: Mapping[str, OpMetadata]
    result: str
    index: int


def read(definition: Definition) -> Program:
    """Raises `Invalid` for what is no definition."""
    parts = list(getattr(definition, "def"))
    if not parts:
        return Program({}, {}, "", 0)
    if len(parts) > OPERATIONS_LIMIT:
        raise Invalid(f"the definition has {len(parts)} operations: {OPERATIONS_LIMIT} is the limit")
    try:
        ops = {str(digests.of(part)): Op.FromString(part) for part in parts}
    except DecodeError as error:
        raise Invalid(f"the definition cannot be read: {error}") from None
    last = ops[str(digests.of(parts[-1]))]
    if last.WhichOneof("op") is not None or len(last.inputs) != 1:
        raise Invalid("the definition does not end with what it is about")
    (result,) = last.inputs
    if not result.digest:
        return Program({}, {}, "", 0)
    return Program(_in_order(ops, result.digest), dict(definition.metadata), result.digest, result.index)


def _in_order(ops: Mapping[str, Op], wanted: str) -> dict[str, Op]:
    """What `wanted` needs and itself, each after what it needs: digests make a circle impossible."""
    found: dict[str, Op] = {}
    left = [(wanted, False)]
    while left:
        digest, inputs_done = left.pop()
        if digest in found:
            continue
        op = ops.get(digest)
        if op is None:
            raise Invalid(f"the definition names an operation that it does not have: {digest}")
        if inputs_done:
            found[digest] = op
        else:
            left.append((digest, True))
            left += [(one.digest, False) for one in reversed(op.inputs)]
    return found
