"""The git program, confined: it reads no configuration of the host, runs no hooks and asks nobody."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dockwright import workers
from dockwright.build.sources.gitref import redacted
from dockwright.errors import Corrupt, HostFailure, NotFound, Unauthorized, Unavailable, Unsupported
from dockwright.runtime import programs
from dockwright.runtime.pidfd import Process
from dockwright.undo import shielded

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_SSH = "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
# A server has to prove that it is one of those in the file, which git runs beside.
_STRICT_SSH = (
    "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o GlobalKnownHostsFile=/dev/null "
    '-o UserKnownHostsFile="$HOME/known_hosts" -o LogLevel=ERROR'
)
# A repository may bring none of these along; they are said all the same, for whatever a later git reads.
_CONFIG = {
    "protocol.allow": "never",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    "protocol.git.allow": "always",
    # Our own repositories, named by us: never as a submodule.
    "protocol.file.allow": "user",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "advice.detachedHead": "false",
    "init.defaultBranch": "master",
    "safe.directory": "*",
    "transfer.fsckObjects": "false",
}


@dataclass(frozen=True)
class Git:
    """One way to call git. `scratch` is a directory for what it says; `config` and `environment` come on top of ours."""

    scratch: Path
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def with_config(self, **config: str) -> Git:
        """With more settings; `__` in a name stands for a dot."""
        return replace(self, config={**self.config, **{name.replace("__", "."): text for name, text in config.items()}})

    def without_remote(self) -> Git:
        """Without the address that `origin` is by our word: for a repository that says it itself."""
        return replace(self, config={name: text for name, text in self.config.items() if name != "remote.origin.url"})

    def without(self, *names: str) -> Git:
        """Without some variables."""
        return replace(self, environment={name: text for name, text in self.environment.items() if name not in names})

    def with_environment(self, **environment: str) -> Git:
        """With more variables."""
        return replace(self, environment={**self.environment, **environment})

    def knowing(self, known_hosts: str) -> Git:
        """One that takes no ssh server but those. Blocking."""
        (self.scratch / "known_hosts").write_text(known_hosts)
        return self.with_environment(GIT_SSH_COMMAND=_STRICT_SSH)

    async def run(self, *arguments: str, cwd: Path | None = None) -> str:
        """What git says. Cancelled, it is killed. Raises what `_failure` makes of a failure."""
        code, said, errors = await self.ask(*arguments, cwd=cwd)
        if code:
            raise _failure(arguments, errors)
        return said

    async def ask(self, *arguments: str, cwd: Path | None = None) -> tuple[int, str, str]:
        """The exit code, what it says and what it complains about."""
        spawned: list[subprocess.Popen[bytes]] = []
        try:
            await programs.wait_in_thread(self._spawn, arguments, cwd or self.scratch, spawned)
            ended = Process.hold(spawned[0].pid) or Process.gone(spawned[0].pid)
            try:
                await ended.wait()
            finally:
                ended.close()
        except BaseException:
            if spawned:
                await shielded(_kill(spawned[0]))
            raise
        code = spawned[0].wait()  # it has ended: this only reaps
        said, errors = await workers.quick(self._read)
        return code, said, errors

    def _spawn(self, arguments: Sequence[str], cwd: Path, spawned: list[subprocess.Popen[bytes]]) -> None:
        with (self.scratch / "said").open("wb") as said, (self.scratch / "errors").open("wb") as errors:
            try:
                child = subprocess.Popen(
                    ["git", *arguments],
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=errors,
                    env=self._variables(),
                    start_new_session=True,
                    umask=0o022,
                )
            except FileNotFoundError as error:
                if cwd.is_dir():
                    raise Unsupported("git was not found: install it to build from repositories") from error
                raise HostFailure(f"{cwd} is gone") from error
            except OSError as error:
                raise HostFailure(f"git: {error.strerror}") from error
        spawned.append(child)

    def _variables(self) -> dict[str, str]:
        config = {**_CONFIG, **self.config}
        proxies = {name: os.environ[name] for each in _PROXIES for name in (each, each.lower()) if name in os.environ}
        found = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "HOME": str(self.scratch),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "SSH_ASKPASS": "/bin/false",
            "GIT_SSH_COMMAND": _SSH,
            "GIT_CONFIG_COUNT": str(len(config)),
            **proxies,
            **self.environment,
        }
        for number, (name, value) in enumerate(config.items()):
            found[f"GIT_CONFIG_KEY_{number}"], found[f"GIT_CONFIG_VALUE_{number}"] = name, value
        return found

    def _read(self) -> tuple[str, str]:
        return tuple((self.scratch / name).read_text(errors="replace") for name in ("said", "errors"))  # type: ignore[return-value]


async def _kill(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    await programs.wait_in_thread(child.wait)


def _failure(arguments: Sequence[str], errors: str) -> Exception:
    """What git's complaint means. Its words are the message's end, without passwords."""
    said = redacted(errors.strip())[-2000:] or "it said nothing"
    verb = next((one for one in arguments if not one.startswith("-")), "")
    message = f"git {verb} failed: {said}"
    if "could not read Username" in errors or "Authentication failed" in errors or "Permission denied" in errors:
        return Unauthorized(message)
    if "not found" in errors or "does not exist" in errors or "does not appear to be a git repository" in errors:
        return NotFound(message)
    if "Could not resolve host" in errors or "unable to access" in errors or "unable to connect" in errors:
        return Unavailable(message)
    if "Could not read from remote repository" in errors or "not allowed" in errors:
        return Unavailable(message)
    if "No space left" in errors:
        return HostFailure(message)
    return Corrupt(message)
