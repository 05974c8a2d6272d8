"""`--output`, `--load`, `--push`: what is made of a build, and where it goes on this side."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dockwright import errors
from dockwright.cli.building.fields import split, switch

STDOUT = "-"
_IMAGES = ("moby", "oci", "docker")
_ANNOTATED = ("index", "index-descriptor", "manifest", "manifest-descriptor")
_TYPED = re.compile(r"([a-z-]+)(?:\[([A-Za-z0-9_/.-]+)\])?")


@dataclass(frozen=True)
class Output:
    """One result. `kind` is the exporter's name; `file` (`-` is standard output) or `directory` is where it is to be put."""

    kind: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    file: str = ""
    directory: str = ""

    def having(self, **attributes: str) -> Output:
        """With more attributes."""
        return replace(self, attributes={**self.attributes, **attributes})


def outputs(given: Iterable[str], *, load: bool, push: bool, nothing: bool = False) -> list[Output]:
    """What the options ask for; an image in the engine's store where they say nothing, and nobody wants `nothing`.

    An image is always in the store: pushing it too is an attribute. Raises `errors.Invalid`.
    """
    found = [parse(text) for text in given if text]
    if push:
        found = _pushed(found)
    if load and not any(one.kind == "moby" for one in found):
        found.append(Output("moby"))
    if sum(one.file == STDOUT for one in found) > 1:
        raise errors.Invalid("multiple outputs configured to write to stdout")
    if not found and not nothing:
        return [Output("moby")]
    return [one for one in found if one.kind != "cacheonly"]


def _pushed(found: list[Output]) -> list[Output]:
    if not any(one.kind == "moby" for one in found):
        return [*found, Output("moby", {"push": "true"})]
    return [one.having(push="true") if one.kind == "moby" else one for one in found]


def parse(text: str) -> Output:
    """One `--output`: `type=…,key=value`, or a directory alone, or `-` for a tar. Raises `errors.Invalid`."""
    fields = split(text)
    if len(fields) == 1 and "=" not in fields[0]:
        return _checked(Output("tar", file=STDOUT) if text == STDOUT else Output("local", directory=text))
    attributes = {}
    for one in fields:
        key, equals, value = one.partition("=")
        if not equals:
            raise errors.Invalid(f"invalid value {one}: an output is written as type=TYPE,key=value")
        attributes[key.strip().lower() if key.strip().lower() in ("type", "dest") else key.strip()] = value
    kind, destination = attributes.pop("type", ""), attributes.pop("dest", "")
    if not kind:
        raise errors.Invalid("type is required for output")
    return _checked(_placed(kind, attributes, destination))


def _placed(kind: str, attributes: dict[str, str], destination: str) -> Output:
    if kind in ("image", "registry", "moby"):
        if kind == "registry":
            attributes = {"push": "true", **attributes}
        if destination:
            raise errors.Invalid(f"dest is not for output of type {kind}")
        return Output("moby", attributes)
    if kind == "local":
        return Output(kind, attributes, directory=destination)
    if kind in ("oci", "docker"):
        if not switch(attributes.get("tar", "true"), "tar"):
            return Output(kind, attributes, directory=destination)
        if kind == "docker" and not destination:
            return Output("moby", attributes)
        return Output(kind, attributes, file=destination or STDOUT)
    if kind == "tar":
        return Output(kind, attributes, file=destination or STDOUT)
    if kind == "cacheonly":
        return Output(kind)
    raise errors.Invalid(f"unknown output type {kind}: image, registry, local, tar, oci, docker or cacheonly")


def _checked(one: Output) -> Output:
    if one.kind == "local" or (one.kind in ("oci", "docker") and not one.file):
        if not one.directory:
            raise errors.Invalid(f"dest is required for {one.kind} exporter")
        if one.directory == STDOUT:
            raise errors.Invalid(f"dest cannot be stdout for {one.kind} exporter")
        if os.path.exists(one.directory) and not os.path.isdir(one.directory):
            raise errors.Invalid(f"destination directory {one.directory} is a file")
    if one.file == STDOUT and os.isatty(1):
        raise errors.Invalid(f"dest file is required for {one.kind} exporter. refusing to write to console")
    if one.file and one.file != STDOUT and os.path.isdir(one.file):
        raise errors.Invalid(f"destination file {one.file} is a directory")
    return one


def allowed(found: Iterable[Output], entitlements: Iterable[str]) -> None:
    """Raise `errors.Invalid` for a directory that would be replaced, and is not one of the working directory's."""
    here = os.path.realpath(os.getcwd())
    for one in found:
        if one.kind != "local" or one.attributes.get("mode") != "delete" or "buildx.local.delete" in entitlements:
            continue
        if not os.path.realpath(one.directory).startswith(here.rstrip("/") + "/"):
            what = f'local output mode=delete for destination "{one.directory}"'
            raise errors.Invalid(f"{what} requires --allow=buildx.local.delete")


def named(found: list[Output], tags: list[str], annotations: Iterable[str]) -> list[Output]:
    """With the build's names and annotations on everything that can have them. Raises `errors.Invalid`."""
    notes = _annotations(annotations)
    result = []
    for one in found:
        if one.kind in _IMAGES:
            one = replace(one, attributes={**one.attributes, **notes})
            if tags:
                one = one.having(name=",".join(tags))
            elif one.attributes.get("push") == "true" and not one.attributes.get("name"):
                raise errors.Invalid("tag is needed when pushing to registry")
        result.append(one)
    if notes and not any(one.kind in _IMAGES for one in found):
        raise errors.Invalid("annotations are for images: none is made")
    return result


def _annotations(given: Iterable[str]) -> dict[str, str]:
    """`[TYPE[PLATFORM],…:]KEY=VALUE` as attributes of an exporter."""
    found = {}
    for text in filter(None, given):
        key, equals, value = text.partition("=")
        if not equals:
            raise errors.Invalid(f'invalid annotation "{text}", expected key=value')
        types, colon, name = key.partition(":")
        if not colon:
            found[f"annotation.{key}"] = value
            continue
        for one in types.split(","):
            match = _TYPED.fullmatch(one)
            if match is None:
                why = "expected type and optional platform in square brackets"
                raise errors.Invalid(f'invalid annotation type "{one}", {why}')
            if match[1] not in _ANNOTATED:
                raise errors.Invalid(f'unknown annotation type "{match[1]}"')
            platform = f"[{match[2]}]" if match[2] else ""
            found[f"annotation-{match[1]}{platform}.{name}"] = value
    return found
