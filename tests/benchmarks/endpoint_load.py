"""The token endpoint under load: tokens a second by wrk, ours and the peers' in turns."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from rounds import Figure, Missing, take_turns

__all__ = ["endpoint", "npm_versions", "processes"]

_PEERS = Path(__file__).parent / "peers"
_NPM = Path(tempfile.gettempdir()) / "pytest-sc-auth-benchmark-peers"
_OURS = (sys.executable, "-m", "fake_server", "--port", "0", "--client", "my-client:my-secret")
_IAM = (sys.executable, "-m", "pytest", "-q", "-s", "-pno:cacheprovider", "-c", os.devnull, "pytest_iam_server.py")
_FLOOR = "raw threads"
# What each peer is started by, and the factors to reach with 1, 8 and 32 connections.
_COMMANDS = {
    "oauth2-mock-server": ("node", str(_PEERS / "oauth2_mock_server.mjs")),
    "oidc-provider": ("node", str(_PEERS / "oidc_provider.mjs")),
    "pytest-iam": _IAM,
    _FLOOR: (sys.executable, str(_PEERS / "raw_threads.py")),
}
_FACTORS = {
    "oauth2-mock-server": (1.9, 1.4, 1.2),
    "oidc-provider": (1.2, 1.0, 0.9),
    "pytest-iam": (2.5, 2.5, 2.5),
    _FLOOR: (None, None, None),  # how far it is
}
_CONNECTIONS = (1, 8, 32)


def npm_versions() -> Iterator[str]:
    """Return the versions of npm's peers that are installed."""
    for manifest in sorted((_NPM / "node_modules").glob("o*/package.json")):
        facts = json.loads(manifest.read_text(encoding="utf-8"))
        if facts["name"] in _COMMANDS:
            yield f"{facts['name']} {facts['version']}"


def _npm_folder(installs: bool) -> Path:
    """Return where npm's peers are installed, which happens once, and in no short run."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise Missing("node and npm")
    if not (_NPM / "node_modules" / "oidc-provider").exists():
        if not installs:
            raise Missing("npm's peers, which a long run installs")
        _NPM.mkdir(exist_ok=True)
        (_NPM / "package.json").write_text("{}", encoding="utf-8")
        subprocess.run(["npm", "install", "--silent", "oauth2-mock-server", "oidc-provider"], cwd=_NPM, check=True)
    return _NPM


def _folder_of(peer: str, installs: bool) -> Path:
    if peer in ("oauth2-mock-server", "oidc-provider"):
        return _npm_folder(installs)
    if peer == "pytest-iam" and find_spec("pytest_iam") is None:
        raise Missing("pytest-iam (pip install '.[bench]')")
    return _PEERS


@contextlib.contextmanager
def _running(command: Sequence[str], folder: Path = _PEERS) -> Iterator[str]:
    """Run a server that writes its token URL when it is ready, and give that."""
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        found = (re.search(r"https?://\S+token\b", line) for line in process.stdout)
        url = next((match.group() for match in found if match), None)
        try:
            if url is None:
                raise RuntimeError(f"{' '.join(command)} has ended and did not say its URL")
            yield url
        finally:
            process.terminate()


def _load(url: str, connections: int, seconds: int, scope: str = "ingr.api") -> float:
    """Return the tokens a second that wrk gets. Raises RuntimeError where one request was refused."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_PEERS / "post.lua"), url]
    told = subprocess.run(
        command, env={**os.environ, "SCOPE": scope}, check=True, capture_output=True, text=True
    ).stdout
    rate = re.search(r"Requests/sec: +([0-9.]+)", told)
    if rate is None or "Non-2xx" in told:
        raise RuntimeError(f"wrk says of {url}: {told}")
    return float(rate[1])


def _need_wrk() -> None:
    if shutil.which("wrk") is None:
        raise Missing("wrk, the load generator")


def _loading(url: str, connections: int, seconds: int, scope: str) -> Callable[[], float]:
    return lambda: _load(url, connections, seconds, scope)


def endpoint(short: bool) -> list[Figure]:
    """Measure tokens a second, RS256 and keep-alive, against the peers that this machine has."""
    _need_wrk()
    figures: list[Figure] = []
    with contextlib.ExitStack() as stack:
        urls = {"ours": stack.enter_context(_running(_OURS))}
        for peer, command in _COMMANDS.items():
            try:
                urls[peer] = stack.enter_context(_running(command, _folder_of(peer, not short)))
            except Missing as missing:
                print(f"  without {peer}: this machine lacks {missing}")
        for index, connections in enumerate(_CONNECTIONS):
            scopes = {peer: "profile" if peer == "pytest-iam" else "ingr.api" for peer in urls}
            rates = take_turns(
                1 if short else 5,
                {peer: _loading(url, connections, 1 if short else 3, scopes[peer]) for peer, url in urls.items()},
            )
            figures += [
                Figure(
                    what=f"tokens a second with {connections} connections, against {peer}",
                    measured=rates["ours"] / rates[peer],
                    limit=_FACTORS[peer][index],
                    at_most=False,
                    detail=f"{rates['ours']:,.0f} / {rates[peer]:,.0f}",
                )
                for peer in urls
                if peer != "ours"
            ]
    return figures


@contextlib.contextmanager
def _gunicorn(workers: int) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        command = [sys.executable, "-m", "gunicorn", "--preload", "--threads", "4", "--workers", str(workers)]
        command += ["--bind", f"fd://{listening.fileno()}", "--log-level", "critical"]
        command += [f"fake_server:create_app({base!r}, 'my-client', 'my-secret')"]
        with subprocess.Popen(command, pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL) as process:
            yield f"{base}/v1/token"
            process.terminate()


def processes(short: bool) -> list[Figure]:
    """Measure two processes under gunicorn against one."""
    _need_wrk()
    if find_spec("gunicorn") is None:
        raise Missing("gunicorn (pip install '.[test]')")
    many = _CONNECTIONS[-1]  # few may all be taken by one of the processes, and kept
    with _gunicorn(2) as two, _gunicorn(1) as one:
        for url in (two, one):
            _load(url, many, 1)  # their start is not measured
        rates = take_turns(1 if short else 7, {"two": lambda: _load(two, many, 2), "one": lambda: _load(one, many, 2)})
    return [
        Figure(
            what=f"tokens a second by gunicorn with 2 workers and {many} connections, against 1 worker",
            measured=rates["two"] / rates["one"],
            limit=1.5,
            at_most=False,
            detail=f"{rates['two']:,.0f} / {rates['one']:,.0f}",
        )
    ]
