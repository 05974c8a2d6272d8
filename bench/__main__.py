"""`python -m bench`: measure, print one table."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench import debian, host, isolation, report
from bench.engines import Dockerd, Dockwright, Engine, Given
from bench.images import busybox_tar
from bench.row import Result, Scale, measure
from bench.rows import ROWS, builds

IMAGE = "bench-busybox:latest"


def main() -> int:
    """Parse, measure, print. Ends with 1 when a row failed on one of the engines."""
    options = _parse()
    if options.list:
        for row in ROWS:
            print(f"{row.name:22} {row.title}")
        return 0
    unknown = set(options.only) - {row.name for row in ROWS}
    if unknown:
        print(f"bench: no such row: {', '.join(sorted(unknown))} (--list names them)", file=sys.stderr)
        return 2
    if any(row.name in options.only or not options.only for row in builds.ROWS):
        debian.fetch(debian.buildx)
    dockerd = debian.fetch(lambda: Dockerd.at(options.dockerd)) if options.dockerd else "dockerd"
    if dockerd is None:
        return 2
    if not options.engine:
        isolation.enter(keep_host_network=options.host_network)
    scale = Scale.quick() if options.quick else Scale.full()
    if options.samples:
        scale = scale.with_samples(options.samples)
    facts = host.facts()
    results: list[Result] = []
    with ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix="dwbench-", dir=options.scratch))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        engines = _engines(options, dockerd, scratch, stack)
        archive = busybox_tar(scratch / "busybox.tar")
        for engine in engines:
            engine.import_image(archive, IMAGE)
            stack.callback(engine.remove_image, IMAGE)
            facts.append(f"{engine.name}: {engine.describe()}")
        for row in ROWS:
            if options.only and row.name not in options.only:
                continue
            print(f"  {row.name} …", file=sys.stderr, flush=True)
            results.append(measure(row, engines, scale, scratch))
        names = [engine.name for engine in engines]
    if options.json:
        Path(options.json).write_text(report.as_json(results, names, facts))
    print(report.as_markdown(results, names, facts) if options.markdown else report.as_text(results, names, facts))
    return 1 if any(result.failures for result in results) else 0


def _engines(options: argparse.Namespace, dockerd: str, scratch: Path, stack: ExitStack) -> list[Engine]:
    if options.engine:
        return [Given(*text.split("=", 1)) if "=" in text else Given(text, text) for text in options.engine]
    engines: list[Engine] = [stack.enter_context(Dockwright(scratch / "ours"))]
    if options.alone or not (options.dockerd or Dockerd.installed()):
        print("bench: dockerd is left out" + ("" if options.alone else ": it is not installed"), file=sys.stderr)
    else:
        engines.append(stack.enter_context(Dockerd(scratch / "dockerd", dockerd)))
    return engines


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description="Measure container engines side by side.")
    parser.add_argument("--quick", action="store_true", help="few samples, small numbers: some two minutes")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="this row; may be repeated")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    parser.add_argument("--samples", type=int, metavar="N", help="samples of each timed row")
    parser.add_argument("--alone", action="store_true", help="our engine only, even where dockerd is installed")
    parser.add_argument(
        "--dockerd",
        default="",
        metavar="PATH",
        help="the dockerd to compare with instead of the host's; debian:SUITE fetches that of a release of Debian's",
    )
    parser.add_argument(
        "--engine",
        action="append",
        default=[],
        metavar="NAME=SOCKET",
        help="measure running engines by their unix sockets instead of starting any; may be repeated",
    )
    parser.add_argument(
        "--host-network", action="store_true", help="stay in the host's network namespace (dockerd adds rules to it)"
    )
    parser.add_argument("--scratch", default="/tmp", metavar="DIR", help="where roots and archives go")
    parser.add_argument("--json", metavar="FILE", help="write every sample here too")
    parser.add_argument("--markdown", action="store_true", help="print the README's table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
