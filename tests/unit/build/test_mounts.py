"""The options of `RUN --mount`."""

from __future__ import annotations

from typing import Any

import pytest

from dockwright.build.dockerfile.instructions.mounts import check_unexpanded, parse
from dockwright.errors import Invalid


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("target=/a", {"kind": "bind", "target": "/a", "readonly": True}),
        ("type=bind,dst=/a,src=b,from=c", {"target": "/a", "source": "b", "from_": "c"}),
        ("type=bind,destination=/a,rw", {"readonly": False}),
        ("type=bind,target=/a,readwrite=false", {"readonly": True}),
        ("type=bind,target=/a,ro=false", {"readonly": False}),
        ("type=cache,target=/a", {"kind": "cache", "readonly": False, "sharing": "shared"}),
        ("type=cache,target=/a,id=x,sharing=locked,mode=0700,uid=1,gid=2", {"mode": 0o700, "uid": 1, "gid": 2}),
        ("type=cache,target=/a,sharing=PRIVATE,ro", {"sharing": "private", "readonly": True}),
        ("type=Cache,target=/a", {"kind": "cache"}),
        ("type=tmpfs,target=/a,ro", {"readonly": True}),
        ("type=tmpfs,target=/a,size=1m", {"size_bytes": 1 << 20}),
        ("type=secret", {"error": "needs an id, a target or an env"}),
        ("type=secret,id=x", {"id": "x", "required": False, "mode": -1}),
        ("type=secret,id=x,source=y", {"error": "both source and id can't be set"}),
        ("target=/", {"error": 'invalid mount target "/"'}),
        ("target=/a/..", {"error": 'invalid mount target "/a/.."'}),
        ("type=secret,id=x,env=Y,required", {"env": "Y", "required": True}),
        ("type=secret,id=x,target=/y,required=true,mode=0400", {"required": True, "mode": 0o400}),
        ("type=ssh", {"kind": "ssh", "target": ""}),
        ("type=ssh,id=a,target=/s", {"id": "a"}),
        ('type=bind,"target=/a,b"', {"target": "/a,b"}),
        ("TYPE=bind,TARGET=/a", {"target": "/a"}),
        ("type=what,target=/a", {"error": 'unsupported mount type "what"'}),
        ("type=cahce,target=/a", {"error": "did you mean cache?"}),
        ("from=tools", {"kind": "bind", "target": "", "from_": "tools"}),
        ("type=Cache,target=/a,ro=T", {"kind": "cache", "readonly": True}),
        ("type=bind,target=/a,sharing=shared", {"error": "unexpected key 'sharing' for mount type 'bind'"}),
        ("type=tmpfs,target=/a,trget=/b", {"error": "did you mean target?"}),
        ("type=cache,target=/a,sharing=x", {"error": 'unsupported sharing value "x"'}),
        ("type=cache,target=/a,mode=9", {"error": "invalid value '9' for mode"}),
        ("type=cache,target=/a,uid=x", {"error": "invalid value 'x' for uid"}),
        ("type=tmpfs,target=/a,size=x", {"error": "invalid value for size: x"}),
        ("type=secret,id=a,required=maybe", {"error": "invalid value for required"}),
        ("target", {"error": "invalid field 'target' must be a key=value pair"}),
        ("", {"error": "invalid field '' must be a key=value pair"}),
        ('"', {"error": "mount options cannot be read"}),
    ],
)
def test_mounts(text: str, fields: dict[str, Any]) -> None:
    if "error" in fields:
        with pytest.raises(Invalid) as raised:
            parse(text)
        assert fields["error"] in str(raised.value)
    else:
        found = parse(text)
        assert {name: getattr(found, name) for name in fields} == fields


def test_variables_are_no_names_of_stages() -> None:
    check_unexpanded("type=$TYPE,target=/a$B,from=c$")
    with pytest.raises(Invalid, match="'from' doesn't support variable expansion, define alias stage instead"):
        check_unexpanded("from=$ttt,type=cache,target=/tmp")
    with pytest.raises(Invalid, match="did you mean type"):
        check_unexpanded("typ=tmpfs")
