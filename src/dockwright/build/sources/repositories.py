"""Trees of git repositories: which commit is meant, fetched once, checked out once.

Kept are a bare repository for each address, with what was asked for at the least depth, and a checkout for each commit.
Submodules, and a `.git` directory that is to stay, need a repository of the checkout's own.
"""

from __future__ import annotations

import base64
import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from dockwright import archive, workers
from dockwright.build.lending.lender import DEFAULT_AGENT, Lender
from dockwright.build.sources.git import Git
from dockwright.build.sources.gitref import GitRef, is_commit, redacted
from dockwright.build.sources.shelf import About, Shelf
from dockwright.errors import DockwrightError, Invalid, NotFound, Unavailable
from dockwright.oci import digest as digests
from dockwright.undo import UndoStack

KIND = "source.git.checkout"
_TREE = "tree"


@dataclass(frozen=True)
class Commit:
    """What a reference means: the commit, the full name of the branch or tag ("" where there is none), and the object that the
    name stands for, which for a tag with a message is not the commit."""

    id: str
    name: str = ""
    object: str = ""


class Repositories:
    """All repositories that builds have read. `files` allows file:// addresses, and such submodules."""

    def __init__(self, shelf: Shelf, *, files: bool = False) -> None:
        self._shelf, self.files = shelf, files

    async def resolve(self, ref: GitRef, lender: Lender) -> Commit:
        """The commit that `ref` means now. Raises `NotFound`, `Invalid` for another than its checksum says, `Unavailable`."""
        if is_commit(ref.ref):
            return _checked(ref, Commit(ref.ref, "", ref.ref))
        if ref.fetch_by_commit:
            name = ref.ref if ref.ref.startswith("refs/") or not ref.ref else f"refs/heads/{ref.ref}"
            return Commit(ref.checksum, name, ref.checksum)
        async with self._git(ref, lender) as git:
            wanted = ref.ref or "HEAD"
            said = await git.run("ls-remote", "--symref", "origin", wanted, f"{wanted}^{{}}")
        return _checked(ref, _meant(ref, said))

    async def checkout(self, stack: AsyncExitStack, ref: GitRef, commit: Commit, lender: Lender) -> Path:
        """The directory with the tree, held until `stack` unwinds. Raises as `resolve`, `Corrupt` for what git refuses."""
        name = "checkout-" + digests.of("\n".join(_identity(ref, commit)).encode()).partition(":")[2][:32]
        stack.enter_context(self._shelf.holding(name))
        async with self._shelf.lock(name):
            if not await workers.quick(self._shelf.has, name):
                await self._make(name, ref, commit, lender)
        return await workers.quick(_below, self._shelf.path(name) / _TREE, ref)

    async def _make(self, name: str, ref: GitRef, commit: Commit, lender: Lender) -> None:
        async with UndoStack() as undo, self._git(ref, lender) as git, self._repository(ref) as bare:
            await _fetch(git.with_environment(GIT_DIR=str(bare)), ref, commit)
            folder = await workers.quick(self._shelf.make)
            undo.push_undo(workers.bulk, self._shelf.discard, folder)
            tree = folder / _TREE
            await workers.quick(tree.mkdir, 0o755)
            index = git.scratch / "index"
            plain = git.with_environment(GIT_DIR=str(bare), GIT_WORK_TREE=str(tree), GIT_INDEX_FILE=str(index))
            keeps = bool(ref.keep_git_dir) and not ref.subdir
            if not keeps:
                await plain.run("read-tree", "--reset", "-u", commit.id, cwd=tree)
            modules = ref.submodules is not False and (keeps or await workers.quick((tree / ".gitmodules").is_file))
            if keeps or modules:
                await self._own(git, ref, commit, bare, tree, keeps=keeps, modules=modules)
            if ref.mtime == "commit":
                said = await plain.run("log", "-1", "--format=%ct", commit.id)
                await workers.bulk(_set_times, tree, int(said.strip()))
            title = f"git checkout of {ref.shown} at {commit.id[:12]}"
            await workers.bulk(self._shelf.put, folder, name, About(KIND, title))

    async def _own(
        self, git: Git, ref: GitRef, commit: Commit, bare: Path, tree: Path, *, keeps: bool, modules: bool
    ) -> None:
        """Give the tree a repository, check out with it, and take it away again unless it is to stay."""
        await workers.bulk(_empty, tree)
        held = f"refs/dockwright/{commit.id}"
        await git.with_environment(GIT_DIR=str(bare)).run("update-ref", held, commit.object or commit.id)
        own = git.without_remote().with_environment(GIT_DIR=str(tree / ".git"), GIT_WORK_TREE=str(tree))
        kind = ["--object-format=sha256"] if len(commit.id) == 64 else []
        await own.run("init", "-q", "--template=", *kind, cwd=tree)
        name = commit.name or "refs/heads/master"
        await own.run("fetch", "-q", "-u", "--depth=1", "--no-tags", f"file://{bare}", f"+{held}:{name}", cwd=tree)
        await own.run("checkout", "-q", "--force", "--detach", commit.id, cwd=tree)
        await own.run("remote", "add", "origin", ref.remote, cwd=tree)
        if modules and await workers.quick((tree / ".gitmodules").is_file):
            anywhere = own.without("GIT_DIR", "GIT_WORK_TREE").with_config(
                protocol__file__allow="always" if self.files else "user"
            )
            update = ("submodule", "update", "-q", "--init", "--recursive")
            code, _, _ = await anywhere.ask(*update, "--depth=1", cwd=tree)
            if code:
                await anywhere.run(*update, cwd=tree)
        if keeps:
            await own.run("remote", "set-url", "origin", redacted(ref.remote), cwd=tree)
            await own.run("reflog", "expire", "--expire=now", "--all", cwd=tree)
        await workers.bulk(_clean, tree, keeps=keeps)

    @asynccontextmanager
    async def _repository(self, ref: GitRef) -> AsyncIterator[Path]:
        """The bare repository of the address, for nobody else meanwhile."""
        name = "repository-" + digests.of(ref.remote.encode()).partition(":")[2][:32]
        with self._shelf.holding(name):
            async with self._shelf.lock(name):
                if not await workers.quick(self._shelf.has, name):
                    await workers.bulk(self._initialise, name, ref)
                yield self._shelf.path(name) / "git"
                await workers.bulk(self._measure, name)

    def _initialise(self, name: str, ref: GitRef) -> None:
        """An empty bare repository is three files and two directories."""
        folder = self._shelf.make()
        try:
            bare = folder / "git"
            for part in ("objects", "refs"):
                (bare / part).mkdir(parents=True)
            (bare / "HEAD").write_text("ref: refs/heads/master\n")
            (bare / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
            self._shelf.put(folder, name, About(KIND, f"git repository {redacted(ref.remote)}"))
        finally:
            self._shelf.discard(folder)

    def _measure(self, name: str) -> None:
        self._shelf.describe(self._shelf.path(name), self._shelf.about(name))

    @asynccontextmanager
    async def _git(self, ref: GitRef, lender: Lender) -> AsyncIterator[Git]:
        """A git that knows the address as `origin`, with the agent and the token that the lender has for it."""
        async with AsyncExitStack() as stack:
            scratch = await workers.quick(self._shelf.make)
            stack.push_async_callback(workers.quick, self._shelf.discard, scratch)
            git = Git(scratch, {"remote.origin.url": ref.remote})
            if self.files and ref.remote.startswith("file://"):
                git = git.with_config(protocol__file__allow="always")
            if ref.known_hosts:
                git = await workers.quick(git.knowing, ref.known_hosts)
            agent = await stack.enter_async_context(lender.agent(DEFAULT_AGENT))
            if agent is not None:
                git = git.with_environment(SSH_AUTH_SOCK=str(agent))
            if (header := await _authorization(ref, lender)) is not None:
                scope, value = header
                git = replace(git, config={**git.config, f"http.{scope}.extraheader": f"Authorization: {value}"})
            yield git


def identity(ref: GitRef, commit: Commit) -> str:
    """What the tree depends on: two trees of one identity are equal."""
    return "\n".join(("git", *_identity(ref, commit)[1:], ref.subdir))


def _identity(ref: GitRef, commit: Commit) -> tuple[str, ...]:
    keeps = bool(ref.keep_git_dir) and not ref.subdir
    kept = f"{redacted(ref.remote)} {commit.name} {commit.object}" if keeps else ""
    return (redacted(ref.remote), commit.id, kept, str(ref.submodules is not False), ref.mtime)


def _meant(ref: GitRef, said: str) -> Commit:
    """The commit in what `ls-remote` says: a branch before a tag of the same name."""
    found: dict[str, str] = {}
    head = ""
    for line in said.splitlines():
        what, _, name = line.partition("\t")
        if what.startswith("ref: "):
            head = what.removeprefix("ref: ")
        else:
            found[name] = what
    if not ref.ref:
        if "HEAD" not in found:
            raise NotFound(f"git repository {redacted(ref.remote)} has no default branch")
        return Commit(found["HEAD"], head, found["HEAD"])
    bare = ref.ref.removeprefix("refs/")
    for name in (f"refs/{bare}", f"refs/heads/{ref.ref.removeprefix('refs/heads/')}", f"refs/tags/{bare}"):
        if name in found:
            return Commit(found.get(f"{name}^{{}}", found[name]), name, found[name])
    raise NotFound(f"git repository {redacted(ref.remote)} does not contain ref {ref.ref}")


def _checked(ref: GitRef, commit: Commit) -> Commit:
    wanted = ref.checksum.lower()
    if not commit.id.startswith(wanted) and not commit.object.startswith(wanted):
        raise Invalid(f"expected checksum to match {ref.checksum}, got {commit.id}")
    return commit


async def _fetch(git: Git, ref: GitRef, commit: Commit) -> None:
    """See to it that the repository has the commit: by name at no depth, by its ID, and at last with all there is."""
    object = commit.object or commit.id
    if await _has(git, object) and await _has(git, commit.id):
        return
    if len(commit.id) == 64:
        await git.run("config", "core.repositoryformatversion", "1")
        await git.run("config", "extensions.objectFormat", "sha256")
    depth, kept = ("fetch", "-q", "--depth=1", "--no-tags", "origin"), "refs/dockwright/fetched"
    ways = [(*depth, f"+{commit.name}:{kept}")] if commit.name and not ref.fetch_by_commit else []
    ways.append((*depth, f"+{commit.id}:{kept}"))
    ways.append(("fetch", "-q", "--tags", "--force", "origin", "+refs/heads/*:refs/dockwright/heads/*"))
    complaints: list[DockwrightError] = []
    for way in ways:
        whole = "--tags" in way and await workers.quick((Path(git.environment["GIT_DIR"]) / "shallow").exists)
        try:
            await git.run(*(way[:2] + ("--unshallow",) + way[2:] if whole else way))
        except Unavailable:
            raise
        except DockwrightError as error:
            complaints.append(error)
        if await _has(git, object) and await _has(git, commit.id):
            return
    if complaints:
        raise complaints[0]
    raise NotFound(f"git repository {redacted(ref.remote)} does not contain commit {commit.id}")


async def _has(git: Git, object: str) -> bool:
    code, _, _ = await git.ask("cat-file", "-e", object)
    return code == 0


async def _authorization(ref: GitRef, lender: Lender) -> tuple[str, str] | None:
    """For which address which header: the secrets GIT_AUTH_HEADER and GIT_AUTH_TOKEN, of the host alone before general ones."""
    parts = urlsplit(ref.remote) if "://" in ref.remote else None
    if parts is None or parts.scheme not in ("http", "https"):
        return None
    host = parts.netloc.rpartition("@")[2]
    for suffix in (f".{host}", ""):
        for name in ("GIT_AUTH_HEADER", "GIT_AUTH_TOKEN"):
            secret = await lender.secret(name + suffix)
            if secret is None:
                continue
            if b"\n" in secret.strip() or b"\r" in secret.strip():
                raise Invalid(f"the secret {name}{suffix} has several lines")
            if name == "GIT_AUTH_TOKEN":
                return f"{parts.scheme}://{host}/", "basic " + base64.b64encode(
                    b"x-access-token:" + secret.strip()
                ).decode()
            return f"{parts.scheme}://{host}/", secret.strip().decode("latin-1")
    return None


def _below(tree: Path, ref: GitRef) -> Path:
    """The directory of the tree that is meant; no link leads to it."""
    with archive.Root(tree) as root:
        inside = os.fsencode(ref.subdir)
        for end in [at for at, byte in enumerate(inside) if byte == ord("/")] + [len(inside)]:
            part = inside[:end]
            if not part:
                continue
            try:
                folder, name = root.parent(part)
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            except OSError as error:
                raise NotFound(f"{ref.shown}: no directory {ref.subdir}: {error.strerror}") from None
            if not stat.S_ISDIR(mode):
                raise Invalid(f"invalid subdir {ref.subdir}: {os.fsdecode(part)} is no directory")
    return tree / ref.subdir if ref.subdir else tree


def _everything(tree: Path) -> Iterator[os.DirEntry[str]]:
    """Every entry below, directories after what is in them; links are not followed."""
    with os.scandir(tree) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _everything(Path(entry.path))
            yield entry


def _clean(tree: Path, *, keeps: bool) -> None:
    """Take away the repositories of tree and submodules, or what only tells when and how they were made."""
    if keeps:
        for name in ("FETCH_HEAD", "ORIG_HEAD", "logs"):
            path = tree / ".git" / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        return
    shutil.rmtree(tree / ".git")
    for entry in list(_everything(tree)):
        if entry.name == ".git" and entry.is_file(follow_symlinks=False):
            os.unlink(entry.path)


def _empty(tree: Path) -> None:
    shutil.rmtree(tree)
    tree.mkdir(mode=0o755)


def _set_times(tree: Path, seconds: int) -> None:
    for entry in _everything(tree):
        os.utime(entry.path, (seconds, seconds), follow_symlinks=False)
    os.utime(tree, (seconds, seconds))
