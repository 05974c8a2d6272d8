"""The exporters: a result, in the form and to the place that were asked for."""

from __future__ import annotations

import base64
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from dockwright import archive, faults, workers
from dockwright.build.blobs import Writer
from dockwright.build.outputs import directories
from dockwright.build.outputs.documents import Written, write_down
from dockwright.build.outputs.output import Format, Output, ToArchive, ToDirectory, ToStore
from dockwright.build.outputs.result import Exported, Result
from dockwright.build.outputs.sink import Emptiable
from dockwright.build.progress import Steps, Work
from dockwright.build.steps.mounting import Mounter
from dockwright.credentials import Credentials
from dockwright.errors import Invalid, Unsupported
from dockwright.image import Images
from dockwright.image.layouts import Layout
from dockwright.image.leases import Lease
from dockwright.oci import Descriptor, Reference, reference
from dockwright.undo import UndoStack
from dockwright.units import rfc3339

FindCredential = Callable[[str], Awaitable[Credentials | None]]


@dataclass(frozen=True)
class Exporter:
    """Exports one build's result. `folder` is a place on the data root for what is only passing through."""

    images: Images
    mounter: Mounter
    folder: Path
    lease: Lease
    steps: Steps
    credential: FindCredential

    async def export(self, output: Output, result: Result) -> Exported:
        """Do what `output` says. Raises `Invalid` for what does not fit the result, and what stores, registries and sinks
        raise. A failed export leaves no image, but for one that could not be pushed; what a sink got before stays."""
        faults.point("build.export")
        match output:
            case ToStore():
                return await self._to_store(output, result)
            case ToArchive():
                return await self._to_archive(output, result)
            case ToDirectory():
                return await self._to_directory(output, result)

    async def _to_store(self, output: ToStore, result: Result) -> Exported:
        names = _parsed(output.names)
        with self.steps.work("exporting to image") as work:
            written = await self._write(work, result, output.form, names)
            digest = written.target.digest
            extra = [Reference(name.domain, name.path, None, digest) for name in names if output.canonical]
            if output.dangling and not (names and output.dangling_only):
                prefix = reference.parse(output.dangling)
                extra.append(Reference(prefix.domain, prefix.path, None, digest))
            if output.keep:
                with work.part("naming to " + ", ".join(name.familiar for name in names) if names else "storing"):
                    await self.images.products.keep(written.target, [*names, *extra])
            if output.push:
                await self._push(work, output, written, names)
        told = tuple(name.familiar for name in names)
        image_id = digest if output.keep else None
        response = _response(written, [str(name) for name in (*names, *extra)])
        if output.keep:
            # Clients take this for the image's ID where it is said, and no command here knows an image by it.
            response.pop("containerimage.config.digest", None)
        return Exported(image_id, told, response)

    async def _push(self, work: Work, output: ToStore, written: Written, names: list[Reference]) -> None:
        for name in names:
            sending = self.images.products.push(
                written.target, name, tagged=not output.by_digest, credentials=await self.credential(name.domain)
            )
            with work.part(f"pushing {name.familiar}"):
                async with aclosing(sending) as told:
                    async for one in told:
                        if one.id and one.current is not None:
                            done = one.current == one.total
                            work.moved(f"pushing {one.id}", one.current, one.total or 0, ended=done)

    async def _to_archive(self, output: ToArchive, result: Result) -> Exported:
        if output.format == "docker":
            result.check_alone()
        names = _parsed(output.names)
        with self.steps.work(f"exporting to {output.format} image format") as work:
            written = await self._write(work, result, output.form, names)
            created = rfc3339(result.time_ns) if result.time_ns is not None else ""
            layout = Layout(written.target, tuple(names), output.format == "docker", created)
            if output.tar:
                with work.part("sending tarball"):
                    async with aclosing(self.images.products.tar(layout)) as chunks:
                        await output.sink.tar(chunks)
            elif output.layout is not None:
                with work.part("sending layout"):
                    await self._to_layout(written.target, output.layout)
            else:
                async with self._passing() as folder:
                    await self.images.products.directory(layout, folder)
                    with work.part("sending layout"):
                        await output.sink.tree(folder)
        return Exported(None, (), _response(written, [str(name) for name in names]))

    async def _to_layout(self, target: Descriptor, place: Writer) -> None:
        """Each blob that `target` leads to, what is led to before what leads there."""
        products = self.images.products
        for blob in [*reversed(await products.reachable(target))]:
            await place.put(blob, partial(products.blob_from, blob))

    async def _to_directory(self, output: ToDirectory, result: Result) -> Exported:
        split = result.several if output.split is None else output.split
        if len(result.parts) > 1 and not split:
            raise Unsupported("platform-split=false: the files of several platforms do not go into one directory")
        if output.time_s is not None and not output.tar:
            raise Unsupported("source-date-epoch for an output of type local: files are sent as they are; use type=tar")
        title = "exporting to client tarball" if output.tar else "exporting to client directory"
        latest_ns = None if output.time_s is None else output.time_s * 10**9
        with self.steps.work(title) as work:
            async with self.mounter.place("export") as folder, AsyncExitStack() as stack:
                root = await directories.compose(stack, self.mounter, folder, result, output, split=split)
                if output.empty_first and isinstance(output.sink, Emptiable):
                    await output.sink.empty()
                with work.part("copying files"):
                    if output.tar:
                        async with aclosing(archive.export(root, latest_ns)) as chunks:
                            await output.sink.tar(chunks)
                    else:
                        await output.sink.tree(root)
        return Exported()

    async def _write(self, work: Work, result: Result, form: Format, names: list[Reference]) -> Written:
        if form.rewrite_times and result.time_ns is None:
            raise Invalid("rewrite-timestamp=true: this build keeps the times of files as they are")
        with work.part("exporting layers"):
            return await write_down(self.images.products, self.lease, result, form, names)

    @asynccontextmanager
    async def _passing(self) -> AsyncIterator[Path]:
        folder = self.folder / f"export-{secrets.token_hex(16)}"
        async with UndoStack() as undo:
            undo.push_undo(workers.bulk, shutil.rmtree, folder, ignore_errors=True)
            await workers.quick(folder.mkdir, mode=0o755, parents=True)
            yield folder


def _parsed(names: tuple[str, ...]) -> list[Reference]:
    found = [reference.parse(name).tagged for name in names]
    for name in found:
        if name.digest is not None:
            raise Invalid(f"an image cannot be named {name.familiar}: its digest is what it comes out with")
    return list(dict.fromkeys(found))


def _response(written: Written, names: list[str]) -> dict[str, str]:
    found = {
        "containerimage.digest": str(written.target.digest),
        "containerimage.descriptor": base64.b64encode(msgspec.json.encode(written.target)).decode(),
    }
    if written.config is not None:
        found["containerimage.config.digest"] = str(written.config)
    if names:
        found["image.name"] = ",".join(names)
    return found
