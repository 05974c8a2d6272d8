"""The base images that a Dockerfile names, as far as they are here: what checks of variables and platforms need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dockwright.build.dockerfile import DockerfileError, parse
from dockwright.build.dockerfile.checks import Known
from dockwright.build.dockerfile.scope import automatic, expand_at, global_scope
from dockwright.build.planning.plan import Options
from dockwright.errors import Invalid, NotFound
from dockwright.image import Image
from dockwright.oci import Platform
from dockwright.oci import platform as platforms


async def known(text: bytes, options: Options, find: Callable[[str, Platform], Awaitable[Image]]) -> list[Known]:
    """What `find`, which raises `NotFound`, knows of them. Nothing of a Dockerfile that cannot be read."""
    found: list[Known] = []
    host = platforms.host()
    wanted = options.platform or host
    try:
        dockerfile = parse(text)
        given = automatic(options.target, wanted, host)
        arguments, _ = global_scope(dockerfile.arguments, options.arguments, given, dockerfile.escape)
        for stage in dockerfile.stages:
            base, escape = stage.base, dockerfile.escape
            name = expand_at(base.image, arguments, escape, base.line).text
            if name == "scratch" or dockerfile.stage(name, stage.number) is not None:
                continue
            asked = expand_at(base.platform, arguments, escape, base.line).text
            platform = platforms.parse(asked) if asked else wanted
            try:
                image = await find(name, platform)
            except NotFound:
                continue
            env = dict(pair.partition("=")[::2] for pair in image.config.run.env or ())
            found.append(Known(base.line, base.image, name, env, image.platform, platform))
    except (DockerfileError, Invalid):
        pass  # which the answer tells
    return found
