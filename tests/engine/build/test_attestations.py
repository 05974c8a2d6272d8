"""What is said of an image beside it: provenance, and bills of materials by a scanner of our own making."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from tests.engine.build.conftest import Bench, Kept, give, the
from tests.webserver import Exchange, WebServer

from dockwright.build import HostLender
from dockwright.build.attestations import Attestations, Provenance, Sbom, parse
from dockwright.build.outputs import parse as output
from dockwright.errors import Invalid, Unavailable
from dockwright.image.documents import ATTESTED
from dockwright.oci import Platform

pytestmark = pytest.mark.root

AMD, ARM = Platform("amd64", "linux"), Platform("arm64", "linux")
TEXT = (
    "FROM busybox AS build\nARG TOKEN\nRUN --network=none --mount=type=secret,id=key cat /run/secrets/key > /dev/null\n"
    "FROM scratch\nCOPY --from=build /bin/busybox /b\nCOPY a.txt /a\n"
)
SCANNER = (
    "FROM busybox\nENV TOOL=t\n"
    'CMD ["sh", "-c", "test -z \\"$BUILDKIT_SCAN_SOURCE_EXTRAS\\" || cp $BUILDKIT_SCAN_SOURCE_EXTRAS/sbom-*/x /dev/null; '
    "touch $BUILDKIT_SCAN_SOURCE/x 2>/dev/null && exit 9; cd $BUILDKIT_SCAN_SOURCE && "
    'echo {\\\\\\"files\\\\\\":\\\\\\"$(echo *) $BUILDKIT_SCAN_LEVEL $TOOL\\\\\\"} > $BUILDKIT_SCAN_DESTINATION/sbom.spdx.json"]\n'
)


def statements(layout: Kept) -> list[Any]:
    """All statements of a layout, by the manifest that is attested."""
    members = layout.members
    index = the(members, json.loads(members["index.json"])["manifests"][0]["digest"])
    images = [one["digest"] for one in index["manifests"] if one["platform"]["os"] == "linux"]
    found = []
    for one in index["manifests"][len(images) :]:
        assert one["platform"] == {"architecture": "unknown", "os": "unknown"}
        assert one["annotations"]["vnd.docker.reference.type"] == "attestation-manifest"
        assert one["annotations"][ATTESTED] in images
        for layer in the(members, one["digest"])["layers"]:
            assert layer["mediaType"] == "application/vnd.in-toto+json"
            statement = the(members, layer["digest"])
            assert layer["annotations"]["in-toto.io/predicate-type"] == statement["predicateType"]
            found.append(statement)
    return found


async def attested(bench: Bench, asked: Attestations, text: str = TEXT, **options: Any) -> tuple[list[Any], Kept]:
    """Build into a layout; its statements."""
    sink = Kept()
    lender = HostLender(secrets={"key": bench.root / "a.txt"})
    outputs = [output({"type": "oci", "name": "app:1"}, sink)]
    await give(
        bench,
        text,
        *outputs,
        attestations=asked,
        lender=lender,
        arguments={"TOKEN": "open sesame", "HTTP_PROXY": "http://me:secret@proxy"},
        labels={"one": "two"},
        **options,
    )
    return statements(sink), sink


async def test_provenance_tells_all_or_only_what_anybody_may_know(bench: Bench) -> None:
    (full,), kept = await attested(bench, Attestations(Provenance(builder_id="https://me"), vcs={"revision": "abc"}))
    assert full["_type"] == "https://in-toto.io/Statement/v1"
    assert full["subject"][0]["name"] == "pkg:docker/app@1?platform=linux%2Famd64"
    predicate = full["predicate"]
    definition, run = predicate["buildDefinition"], predicate["runDetails"]
    request = definition["externalParameters"]["request"]
    assert request["args"] == {"build-arg:TOKEN": "open sesame", "label:one": "two"}
    assert request["secrets"] == [{"id": "key", "optional": True}]
    assert [one["uri"] for one in definition["resolvedDependencies"]] == [
        "pkg:docker/busybox@latest?platform=linux%2Famd64"
    ]
    assert run["builder"] == {"id": "https://me"}
    assert run["metadata"]["buildkit_metadata"]["vcs"] == {"revision": "abc"}
    assert run["metadata"]["buildkit_metadata"]["source"]["infos"][0]["language"] == "Dockerfile"
    steps = definition["internalParameters"]["buildConfig"]["llbDefinition"]
    assert [next(iter(step["op"]["Op"])) for step in steps] == ["source", "exec", "file", "file"]
    assert steps[1]["inputs"] == ["step0:0"]
    assert b"me:secret" not in bytes(kept.data)
    assert "startedOn" not in run["metadata"]

    (least,), kept = await attested(bench, parse({"attest:provenance": "mode=min"}))
    assert "buildConfig" not in least["predicate"]["buildDefinition"]["internalParameters"]
    said = json.dumps(least)
    assert not any(word in said for word in ("sesame", "key", "two", "TOKEN"))


async def test_provenance_of_another_version_and_with_times(bench: Bench) -> None:
    asked = parse({"attest:provenance": "version=v0.2,mode=max,reproducible=true"})
    (old,), _ = await attested(bench, asked, keep_times=True)
    assert old["predicateType"] == "https://slsa.dev/provenance/v0.2"
    predicate = old["predicate"]
    assert predicate["buildType"] == "https://mobyproject.org/buildkit@v1"
    assert predicate["invocation"]["configSource"] == {"entryPoint": "Dockerfile"}
    assert predicate["materials"][0]["digest"]["sha256"]
    assert predicate["metadata"]["reproducible"] is True
    assert predicate["metadata"]["buildStartedOn"] <= predicate["metadata"]["buildFinishedOn"]


async def test_the_same_inputs_are_attested_the_same(bench: Bench) -> None:
    (_, first), (_, second) = [await attested(bench, Attestations(Provenance())) for _ in range(2)]
    assert first.data == second.data


async def test_what_is_inline_only_makes_no_index_by_itself(bench: Bench) -> None:
    asked = parse({"attest:provenance": "mode=min,inline-only=true"})
    text = "FROM scratch\nCOPY a.txt /a\n"
    plain, both, files = Kept(), Kept(), Kept()
    await give(bench, text, output({"type": "oci"}, plain), output({"type": "local"}, files), attestations=asked)
    (target,) = json.loads(plain.members["index.json"])["manifests"]
    assert target["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert list(files.files) == ["a"]
    await give(bench, text, output({"type": "oci"}, both), attestations=asked, platforms=(AMD, ARM))
    assert len(statements(both)) == 2
    await give(bench, text, output({"type": "image", "name": "in:1"}), attestations=asked)
    image = await bench.engine.images.inspect("in:1", manifests=True)
    assert [one.kind for one in image.manifests] == ["image", "attestation"]  # type: ignore[union-attr]
    await give(
        bench, text, output({"type": "image", "name": "in:2", "attestation-inline": "false"}), attestations=asked
    )
    assert len((await bench.engine.images.inspect("in:2", manifests=True)).manifests) == 1  # type: ignore[arg-type]


async def test_an_image_with_attestations_is_an_image_as_others(bench: Bench) -> None:
    text = "FROM busybox\nCOPY a.txt /a\n"
    for artifact in ("false", "true"):
        name = f"app:{artifact}"
        asked = output({"type": "image", "name": name, "oci-artifact": artifact})
        built = await give(bench, text, asked, attestations=Attestations(Provenance()))
        images = bench.engine.images
        assert (await images.inspect(name)).id == built.image_id
        (attestation,) = [
            one
            for one in (await images.inspect(name, manifests=True)).manifests  # type: ignore[union-attr]
            if one.kind == "attestation"
        ]
        assert attestation.available
        summary = next(one for one in await images.list_(manifests=True) if one.id == built.image_id)
        assert len(summary.manifests) == 2  # type: ignore[arg-type]
        assert await bench.output(name, "cat", "/a") == "A"
        again = await bench.build(f"FROM {name}\nRUN test -f /a\n")
        assert again.image_id
        await images.collect()
        assert (await images.inspect(name, manifests=True)).manifests[1].available  # type: ignore[index]
    with pytest.raises(Invalid, match="oci-mediatypes=false"):
        refused = output({"type": "image", "oci-mediatypes": "false"})
        await give(bench, text, refused, attestations=Attestations(Provenance()))


async def test_files_are_given_with_what_is_said_of_them(bench: Bench) -> None:
    files, split = Kept(), Kept()
    text = "FROM scratch\nCOPY a.txt /a\n"
    asked = Attestations(Provenance("min"))
    await give(bench, text, output({"type": "local", "attestation-prefix": "x-"}, files), attestations=asked)
    statement = json.loads(files.files["x-provenance.json"])
    assert [one["name"] for one in statement["subject"]] == ["a"]
    await give(bench, text, output({"type": "local"}, split), attestations=asked, platforms=(AMD, ARM))
    assert "linux_arm64/provenance.json" in split.files
    await give(bench, text, output({"type": "local"}, files := Kept()))
    assert list(files.files) == ["a"]


async def test_a_scanner_sees_the_result_and_says_what_is_in_it(bench: Bench) -> None:
    await bench.build(SCANNER, names=("scanner:1",))
    asked = parse({"attest:sbom": "generator=scanner:1,LEVEL=high", "attest:provenance": "mode=min"})
    told, _ = await attested(bench, asked)
    sbom = next(one for one in told if one["predicateType"] == "https://spdx.dev/Document")
    assert sbom["predicate"] == {"files": "a b high t"}
    assert sbom["subject"][0]["name"].startswith("pkg:docker/app@1")
    files = Kept()
    await give(
        bench,
        "FROM scratch\nCOPY a.txt /a\n",
        output({"type": "local"}, files),
        attestations=parse({"attest:sbom": "generator=scanner:1"}),
    )
    assert set(files.files) == {"a", "sbom.spdx.json"}


async def test_a_scanner_sees_stages_and_the_context_where_the_dockerfile_says_so(bench: Bench) -> None:
    await bench.build(
        "FROM busybox\nCMD cd $BUILDKIT_SCAN_SOURCE_EXTRAS && for one in *; do "
        'echo "{\\"files\\": \\"$(cd $one && echo *.txt)\\"}" > $BUILDKIT_SCAN_DESTINATION/$one.spdx.json; done\n',
        names=("more:1",),
    )
    text = (
        "ARG BUILDKIT_SBOM_SCAN_CONTEXT\nFROM scratch AS one\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nCOPY a.txt /one.txt\n"
        "FROM scratch AS two\nCOPY a.txt /two.txt\nFROM scratch\nCOPY --from=one / /\nCOPY --from=two / /\n"
    )
    files = Kept()
    asked = parse({"attest:sbom": "generator=more:1"})
    given = {"BUILDKIT_SBOM_SCAN_CONTEXT": "true"}
    await give(bench, text, output({"type": "local"}, files), attestations=asked, arguments=given)
    found = {name: json.loads(text)["predicate"]["files"] for name, text in files.files.items() if "sbom" in name}
    assert found == {"sbom-one.spdx.json": "one.txt", "sbom-context.spdx.json": "a.txt amd64.txt arm64.txt"}


async def test_provenance_names_what_was_downloaded(bench: Bench) -> None:
    def answer(exchange: Exchange) -> None:
        exchange.send(200, body=b"content")

    with WebServer(answer) as server:
        url = f"{server.url}/file.txt"
        text = f"FROM scratch\nADD {url} /\n"
        (told,), _ = await attested(bench, parse({"attest:provenance": "complete-materials=true"}), text)
    (material,) = told["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert material == {"uri": url, "digest": {"sha256": hashlib.sha256(b"content").hexdigest()}}
    assert told["predicate"]["runDetails"]["metadata"]["buildkit_completeness"]["resolvedDependencies"] is True
    with pytest.raises(Invalid, match="complete-materials"):
        await attested(bench, parse({"attest:provenance": "complete-materials=true"}))


async def test_a_scanner_that_is_not_there_or_says_nothing_fails_the_build(bench: Bench) -> None:
    text = "FROM scratch\nCOPY a.txt /a\n"
    with pytest.raises(Unavailable, match=r"docker/buildkit-syft-scanner:stable-1 cannot be had.*generator=IMAGE"):
        await give(bench, text, attestations=parse({"attest:sbom": "true"}))
    await bench.build("FROM busybox\nCMD true\n", names=("silent:1",))
    with pytest.raises(Invalid, match="silent:1 has written no"):
        await give(bench, text, attestations=Attestations(sbom=Sbom("silent:1")))
    await bench.build("FROM busybox\nCMD ln -s /etc/passwd /run/out/sbom.spdx.json\n", names=("sly:1",))
    with pytest.raises(Invalid, match=r"sbom\.spdx\.json of the scanner sly:1"):
        await give(bench, text, attestations=Attestations(sbom=Sbom("sly:1")))


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"attest:magic": ""}, "attestation type 'magic'"),
        ({"attest:provenance": "mode=some"}, "mode=some"),
        ({"attest:provenance": "version=v3"}, "version=v3"),
        ({"attest:provenance": "capture-usage=true"}, "capture-usage"),
        ({"attest:provenance": "reproducible=perhaps"}, "reproducible=perhaps"),
        ({"attest:provenance": "colour=red"}, "colour"),
    ],
)
def test_what_is_asked_wrongly_is_refused_by_its_name(attributes: dict[str, str], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        parse(attributes)


async def test_bases_without_a_registrys_name_are_told_by_their_digest(bench: Bench) -> None:
    base = await bench.engine.images.resolve("busybox")
    text = f"FROM {base.id}\nCOPY a.txt /a\n"
    (told,), _ = await attested(bench, Attestations(Provenance("min")), text)
    (material,) = told["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert material["uri"].startswith("pkg:oci/image?digest=sha256%3A")
    assert material["digest"] == {"sha256": base.id.partition(":")[2]}


def test_what_the_client_knows_of_the_repository_is_told_without_passwords() -> None:
    given = {"vcs:source": "https://me:secret@git.example/x.git", "vcs:revision": "abc", "vcs:": ""}
    assert parse(given).vcs == {"source": "https://me:xxxxx@git.example/x.git", "revision": "abc"}


def test_attestations_can_be_asked_for_in_every_way_clients_do() -> None:
    assert parse({}) == Attestations()
    assert parse({"attest:provenance": "", "attest:sbom": ""}) == Attestations(Provenance(), Sbom())
    assert parse({"build-arg:BUILDKIT_ATTEST_PROVENANCE": "mode=min"}).provenance == Provenance("min")
    assert parse({"attest:provenance": "disabled=true", "attest:sbom": "false"}) == Attestations()
