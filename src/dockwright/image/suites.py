"""What there is to know of Debian's and Ubuntu's package archives: suites, mirrors, keys. Pure, but for the host's own
sources (sources.list(5)), which tell the mirror that is nearest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dockwright.errors import Invalid

_CODENAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_MIRROR = re.compile(r"(?:https?|file)://[A-Za-z0-9._~%:@/+-]+")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{0,100}")
_DATE = re.compile(r"\d{8}T\d{6}Z")
_ONE_LINE = re.compile(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+\S")

_APT = Path("/etc/apt")


@dataclass(frozen=True)
class Distribution:
    """One archive. `rolling` suites have neither updates nor security beside them; `aliases` are versions by their suite;
    `snapshots` is where the archive of a date is kept, `{date}` standing for it."""

    name: str
    title: str
    mirror: str
    security: str
    snapshots: str
    keyring: Path
    keyring_package: str
    components: str
    aliases: dict[str, str]
    rolling: frozenset[str] = frozenset()


DISTRIBUTIONS = {
    one.name: one
    for one in (
        Distribution(
            "debian",
            "Debian",
            "http://deb.debian.org/debian",
            "http://deb.debian.org/debian-security",
            "http://snapshot.debian.org/archive/{archive}/{date}",
            Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
            "debian-archive-keyring",
            "main",
            {"11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky"},
            frozenset({"sid", "unstable", "rc-buggy", "experimental"}),
        ),
        Distribution(
            "ubuntu",
            "Ubuntu",
            "http://archive.ubuntu.com/ubuntu",
            "http://security.ubuntu.com/ubuntu",
            "http://snapshot.ubuntu.com/{archive}/{date}",
            Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
            "ubuntu-keyring",
            "main universe",
            {"22.04": "jammy", "24.04": "noble", "26.04": "resolute"},
        ),
    )
}


@dataclass(frozen=True)
class Suite:
    """One suite of one archive, and where it is read from."""

    distribution: Distribution
    codename: str
    mirror: str
    security: str

    @property
    def sources(self) -> list[str]:
        """The lines of sources.list(5)."""
        keyring, components = self.distribution.keyring, self.distribution.components
        where = [(self.mirror, self.codename)]
        if self.codename not in self.distribution.rolling and not self.mirror.startswith("file:"):
            where += [(self.mirror, f"{self.codename}-updates"), (self.security, f"{self.codename}-security")]
        return [f"deb [signed-by={keyring}] {mirror} {suite} {components}" for mirror, suite in where]


def find(name: str, mirror: str = "", archive_date: str = "") -> Suite:
    """The suite that `debian:bookworm`, `debian:12` or `ubuntu:noble` means, read from `mirror`, else from where the host
    has its own packages from, else from the distribution's own servers; with `archive_date` (`20250520T000000Z`) from the
    archive as it was then. Reads the host's sources. Raises `Invalid`.
    """
    title, _, tag = name.partition(":")
    distribution = DISTRIBUTIONS.get(title)
    if distribution is None:
        raise Invalid(f"{title!r} is no distribution that can be bootstrapped: {' and '.join(DISTRIBUTIONS)} are")
    codename = distribution.aliases.get(tag, tag)
    if not _CODENAME.fullmatch(codename) or codename == "latest":
        raise Invalid(
            f"{name!r} names no suite: say, for example, {title}:{sorted(distribution.aliases.items())[-2][1]}"
        )
    if mirror and not _MIRROR.fullmatch(mirror):
        raise Invalid(f"{mirror!r} is no mirror: http://, https:// or file:// is expected")
    if archive_date:
        return _snapshot(distribution, codename, mirror, archive_date)
    if mirror:
        return Suite(distribution, codename, mirror.rstrip("/"), _beside(distribution, mirror.rstrip("/")))
    return _nearest(distribution, codename)


def checked_packages(names: Iterable[str]) -> tuple[str, ...]:
    """Names of packages. Raises `Invalid`."""
    found = tuple(names)
    for name in found:
        if not _PACKAGE.fullmatch(name):
            raise Invalid(f"{name!r} is no name of a package")
    return found


def official(suite: Suite) -> Suite:
    """The same suite on the distribution's own servers."""
    return Suite(suite.distribution, suite.codename, suite.distribution.mirror, suite.distribution.security)


def archives(text: str) -> Iterator[str]:
    """The archives that a file in sources.list(5)'s one-line or deb822 form names, in order."""
    for line in text.splitlines():
        if match := _ONE_LINE.match(line):
            yield match[1].rstrip("/")
        elif line.lower().startswith("uris:"):
            yield from (word.rstrip("/") for word in line.split()[1:])


def _snapshot(distribution: Distribution, codename: str, mirror: str, date: str) -> Suite:
    if mirror:
        raise Invalid("conflicting options: a mirror and an archive date")
    if not _DATE.fullmatch(date):
        raise Invalid(f"{date!r} is no archive date: the form is 20250520T000000Z")
    main, security = (
        distribution.snapshots.format(archive=url.rpartition("/")[2], date=date)
        for url in (distribution.mirror, distribution.security)
    )
    return Suite(distribution, codename, main, security)


def _nearest(distribution: Distribution, codename: str) -> Suite:
    known = [url for url in _host_archives() if url.startswith(("http://", "https://"))]

    def first(like: str) -> str:
        ending = "/" + like.rpartition("/")[2]
        return next((url for url in known if url.endswith(ending)), like)

    return Suite(distribution, codename, first(distribution.mirror), first(distribution.security))


def _beside(distribution: Distribution, mirror: str) -> str:
    """Where a mirror of the main archive has the security updates: beside it, or in it, as the distribution does."""
    main, security = (url.rpartition("/")[2] for url in (distribution.mirror, distribution.security))
    return mirror.removesuffix(main) + security if mirror.endswith("/" + main) else distribution.security


def _host_archives() -> Iterable[str]:
    files = [_APT / "sources.list"]
    for pattern in ("*.list", "*.sources"):
        files += sorted((_APT / "sources.list.d").glob(pattern))
    for file in files:
        try:
            yield from archives(file.read_text(errors="replace"))
        except OSError:
            continue  # not there, or not for us
