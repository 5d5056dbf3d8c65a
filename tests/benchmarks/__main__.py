"""Measure, print a table, and write it into README.md: `python tests/benchmarks [NAME]...`."""

import argparse
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from endpoint_load import endpoint, npm_versions, processes
from growth import fixture_growth, journal_growth, memory_growth
from in_process import clocks, interception
from pytest_runs import empty_run, fixture, one_token_run, token_test
from rounds import Figure, Missing

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
BENCHMARKS: dict[str, Callable[[bool], list[Figure]]] = {
    "empty-run": empty_run,
    "fixture": fixture,
    "token-test": token_test,
    "endpoint": endpoint,
    "processes": processes,
    "interception": interception,
    "one-token-run": one_token_run,
    "clocks": clocks,
    "fixture-growth": fixture_growth,
    "memory-growth": memory_growth,
    "journal-growth": journal_growth,
}
_PACKAGES = ("pytest", "werkzeug", "joserfc", "requests", "responses", "freezegun", "time-machine", "gunicorn")
_PEERS = ("pytest-httpserver", "pytest-iam")


def _processor() -> str:
    try:
        names = re.findall(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _versions() -> Iterable[str]:
    for name in (*_PACKAGES, *_PEERS):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    yield from npm_versions()


def _row(name: str, figure: Figure) -> str:
    return f"| {name} | {figure.what} | {figure.target} | {figure.result} | {figure.detail} |"


def _table(rows: Iterable[str]) -> str:
    lines = ["| benchmark | measured | target | result | ours / theirs |", "|---|---|---|---|---|", *rows]
    machine = f"{os.cpu_count()} cores of {_processor()}, Python {platform.python_version()}"
    return "\n".join([*lines, "", f"On {machine}; {', '.join(_versions())}."])


def main() -> int:
    """Return the exit status: 1 when README has no place for the table."""
    parser = argparse.ArgumentParser(prog="python tests/benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--short", action="store_true", help="a run of a minute, which measures nothing worth a note")
    parser.add_argument("--list", action="store_true", help="only list their names")
    given = parser.parse_args()
    if given.list:
        print("\n".join(BENCHMARKS))
        return 0
    if unknown := sorted(set(given.names) - set(BENCHMARKS)):
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    rows: list[str] = []
    for name in given.names or BENCHMARKS:
        try:
            found = [_row(name, figure) for figure in BENCHMARKS[name](given.short)]
            print("\n".join(found), flush=True)
            rows += found
        except Missing as missing:
            print(f"{name} is left out: this machine lacks {missing}")
    table = _table(rows)
    print(f"\n{table}")
    return 0 if given.short or given.names else _write(table)


def _write(table: str) -> int:
    before, begin, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"README.md has no lines {BEGIN} and {END}; put them where the table belongs", file=sys.stderr)
        return 1
    README.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
