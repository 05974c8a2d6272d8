"""What a build says while it goes on.

Whatever takes time is a piece of work with a number: the steps of the graph count from 1 in the order in which they begin; work
beside it (transfers, exports) counts from -1 downwards. `Planned` tells the graph before its first step begins.

A worked example:

    with steps.work("[internal] load build context") as work:
        work.moved("transferring context:", 4096)
        work.say(b"something to read\\n")
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dockwright.build.solving.inputs import Difference
from dockwright.build.steps.running import StepFailed
from dockwright.oci import Digest, Platform
from dockwright.oci import digest as digests

if TYPE_CHECKING:
    from dockwright.build.outputs.result import Attestation


@dataclass(frozen=True)
class Step:
    """Something that takes time. `id` is a digest, no other's, not even another build's; `inputs` are the ids of what it needs
    first; `lines` are the first and the last one of it in the Dockerfile, (0, 0) where it has none; `written` is what stands
    there.
    """

    id: Digest
    title: str
    inputs: tuple[Digest, ...] = ()
    lines: tuple[int, int] = (0, 0)
    written: str = ""


@dataclass(frozen=True)
class Planned:
    """The graph, each step after those that it needs."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Started:
    """A step begins. `number` counts the steps that have begun; `total` are all of the build, 0 for work beside them."""

    number: int
    total: int
    title: str
    step: Step | None = None


@dataclass(frozen=True)
class Said:
    """Output of a step's command, as it came."""

    number: int
    data: bytes


@dataclass(frozen=True)
class Missed:
    """Why a step is not taken from the cache: the first input that is another than when the same step was last built.

    Told where it is asked for. `text` says it in words.
    """

    number: int
    title: str
    input: str
    before: str
    now: str
    text: str


@dataclass(frozen=True)
class Moved:
    """How far a part of a step is: `current` of `total` bytes, 0 where not known. `ended` when it is done."""

    number: int
    part: str
    current: int = 0
    total: int = 0
    ended: bool = False


@dataclass(frozen=True)
class Ended:
    """A step is done: from the cache, or after so long."""

    number: int
    title: str
    cached: bool
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A step is not done: why, or `cancelled` because another one failed or the build was given up."""

    number: int
    title: str
    error: str
    cancelled: bool
    step: Step | None = None


@dataclass(frozen=True)
class Warned:
    """Something works and is likely not what was meant: a build check (`rule`), about `lines` of the Dockerfile."""

    line: int
    rule: str
    message: str
    about: str = ""
    url: str = ""
    last_line: int = 0


@dataclass(frozen=True)
class Built:
    """All that was asked for is there: the image with these names, where one was. `response` is what BuildKit's clients are
    told (`containerimage.digest`), `attestations` what is said of each platform's files, in an image or not."""

    image_id: Digest | None
    names: tuple[str, ...]
    response: Mapping[str, str] = field(default_factory=dict)
    attestations: tuple[tuple[Platform, Attestation], ...] = ()


Progress = Planned | Started | Said | Missed | Moved | Ended | Failed | Warned | Built
Tell = Callable[[Progress], None]


@dataclass
class Work:
    """A piece of work that goes on. `cached` is set when there was nothing to do."""

    step: Step
    number: int
    tell: Tell
    cached: bool = False

    def missed(self, why: Difference) -> None:
        """Why the cache does not have it."""
        self.tell(Missed(self.number, self.step.title, why.input, why.before, why.now, str(why)))

    def say(self, data: bytes) -> None:
        """Output, as it came."""
        self.tell(Said(self.number, data))

    def moved(self, part: str, current: int = 0, total: int = 0, *, ended: bool = False) -> None:
        """How far the part `part` is."""
        self.tell(Moved(self.number, part, current, total, ended))

    @contextmanager
    def part(self, part: str) -> Iterator[None]:
        """A part that begins, and is done at the end of the context."""
        self.moved(part)
        yield
        self.moved(part, ended=True)


class Steps:
    """Tells the steps of one build and gives them numbers."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self._salt = secrets.token_hex(16)
        self._made = self._total = self._begun = self._beside = 0

    def make(self, title: str, inputs: Sequence[Step] = (), lines: tuple[int, int] = (0, 0), written: str = "") -> Step:
        """A step, not yet told."""
        self._made += 1
        name = digests.of(f"{self._salt} {self._made} {title}".encode())
        return Step(name, title, tuple(one.id for one in inputs), lines, written)

    def plan(self, steps: Sequence[Step]) -> None:
        """Tell the graph; several graphs add up."""
        self._total += len(steps)
        self.tell(Planned(tuple(steps)))

    @contextmanager
    def step(self, step: Step) -> Iterator[Work]:
        """A step of the graph, for as long as it takes."""
        self._begun += 1
        yield from self._going_on(step, self._begun, self._total)

    @contextmanager
    def work(self, title: str) -> Iterator[Work]:
        """Work beside the graph, for as long as it takes."""
        self._beside -= 1
        yield from self._going_on(self.make(title), self._beside, 0)

    def _going_on(self, step: Step, number: int, total: int) -> Iterator[Work]:
        work = Work(step, number, self.tell)
        self.tell(Started(number, total, step.title, step))
        began = time.monotonic()
        try:
            yield work
        except BaseException as error:
            cancelled = isinstance(error, asyncio.CancelledError)
            # A step's command: as BuildKit says it, which only its clients are told.
            words = error.process if isinstance(error, StepFailed) else str(error)
            self.tell(Failed(number, step.title, words, cancelled, step))
            raise
        self.tell(Ended(number, step.title, work.cached, time.monotonic() - began))
