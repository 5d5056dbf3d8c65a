"""What whole runs of pytest cost: an empty one, one with many tests, one with a single token."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from rounds import Figure, Missing, take_turns

__all__ = ["empty_run", "fixture", "one_token_run", "token_test"]

_PLAIN = "def test_it(number): pass"
_OURS = "def test_it(number, sc_auth_server): pass"
_THEIRS = "def test_it(number, httpserver): pass"
_GET = """
def get_token(url, id="my-client", secret="my-secret"):
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    return requests.post(url, data=form, auth=(id, secret)).json()["access_token"]
"""
_OUR_TOKEN = f"""
import requests
{_GET}
def test_it(number, sc_auth_credentials):
    c = sc_auth_credentials
    assert get_token(c.token_url, c.client_id, c.client_secret)
"""
_THEIR_TOKEN = f"""
import requests
{_GET}
def test_it(number, httpserver):
    answer = {{"token_type": "Bearer", "expires_in": 3600, "access_token": "eyJ.e30.x", "scope": "ingr.api"}}
    httpserver.expect_request("/v1/token", method="POST").respond_with_json(answer)
    assert get_token(httpserver.url_for("/v1/token"))
"""
_TIMING = """
import json, pathlib, statistics, time
import pytest

seconds = {}

def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.callspec.params["number"])

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    begin = time.perf_counter()
    result = yield
    seconds.setdefault(item.path.stem, []).append(time.perf_counter() - begin)
    return result

def pytest_sessionfinish():
    medians = {kind: statistics.median(values[10:]) for kind, values in seconds.items()}
    pathlib.Path("medians.json").write_text(json.dumps(medians))
"""
_PARAMETRIZE = "\nimport pytest\ntest_it = pytest.mark.parametrize('number', range({count}))(test_it)\n"


def _only(*plugins: str) -> list[str]:
    """Return the arguments by which pytest loads these plugins and no others that are installed.

    It finds them as it always does: one that is named by `-p` would make it look for that one besides.
    """
    return [f"-pno:{entry.name}" for entry in entry_points(group="pytest11") if entry.name not in plugins]


_BOTH = _only("sc_auth", "pytest_httpserver")


def _environment() -> dict[str, str]:
    environment = {**os.environ, "NO_PROXY": "127.0.0.1,localhost"}
    # An installed package is compiled, and an installed plugin loaded.
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        environment.pop(name, None)
    return environment


def _run(folder: Path, source: str, arguments: Sequence[str]) -> float:
    """Run one test in a process of its own, and return the seconds that this took."""
    folder.mkdir(exist_ok=True)
    (folder / "test_it.py").write_text(source + _PARAMETRIZE.format(count=1), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", *arguments, "test_it.py"]
    begin = time.perf_counter()
    subprocess.run(command, cwd=folder, env=_environment(), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


def _runs(rounds: int, variants: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, float]:
    """Return the medians of whole runs, in seconds; each variant is a test's source and pytest's arguments."""
    with tempfile.TemporaryDirectory() as name:
        return take_turns(
            rounds,
            {kind: functools.partial(_run, Path(name) / kind, *variant) for kind, variant in variants.items()},
        )


def _need_httpserver() -> None:
    if find_spec("pytest_httpserver") is None:
        raise Missing("pytest-httpserver (pip install '.[bench]')")


def empty_run(short: bool) -> list[Figure]:
    """Measure the plugin's part in a run that does not use it."""
    medians = _runs(3 if short else 60, {"with": (_PLAIN, _only("sc_auth")), "without": (_PLAIN, _only())})
    what = "an empty run with the plugin, against one without"
    return [Figure.of_times(what, medians["with"], medians["without"], 1.01)]


def _per_test(short: bool, sources: dict[str, str]) -> dict[str, float]:
    """Return what a test costs, in seconds, by each of these sources, less a test that does nothing.

    All are in one run of pytest, in turns test by test: the differences are smaller than the noise between two runs.
    """
    sources = {"plain": _PLAIN, **sources}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(_TIMING, encoding="utf-8")
        for kind, source in sources.items():
            text = source + _PARAMETRIZE.format(count=50 if short else 2000)
            (folder / f"test_{kind}.py").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", *_BOTH]
        subprocess.run(command, cwd=folder, env=_environment(), check=True, stdout=subprocess.DEVNULL)
        medians = json.loads((folder / "medians.json").read_text(encoding="utf-8"))
    costs = {kind: medians[f"test_{kind}"] - medians["test_plain"] for kind in sources if kind != "plain"}
    if not short and min(costs.values()) <= 0:  # a short run measures nothing worth a note
        raise RuntimeError(f"a fixture cost less than none, in seconds: {costs}; the machine is too noisy")
    return costs


def _against_httpserver(what: str, limit: float, short: bool, ours: str, theirs: str) -> list[Figure]:
    _need_httpserver()
    costs = _per_test(short, {"ours": ours, "theirs": theirs})
    return [Figure.of_times(what, costs["ours"], costs["theirs"], limit)]


def fixture(short: bool) -> list[Figure]:
    """Measure a fresh server for each test against pytest-httpserver's one for all."""
    return _against_httpserver("a test with `sc_auth_server`, against `httpserver`", 1, short, _OURS, _THEIRS)


def token_test(short: bool) -> list[Figure]:
    """Measure a test that gets a token against one that gets a canned answer."""
    what = "a test that gets a token, against `httpserver` and a canned answer"
    return _against_httpserver(what, 0.75, short, _OUR_TOKEN, _THEIR_TOKEN)


def one_token_run(short: bool) -> list[Figure]:
    """Measure a run of one test that gets one token, start to end."""
    _need_httpserver()
    medians = _runs(3 if short else 25, {"ours": (_OUR_TOKEN, _BOTH), "theirs": (_THEIR_TOKEN, _BOTH)})
    what = "a run of one test that gets a token, against `httpserver`"
    return [Figure.of_times(what, medians["ours"], medians["theirs"], 1.25)]
