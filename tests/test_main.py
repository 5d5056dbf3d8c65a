"""The program: what it prints, how it ends, and what it says to settings it cannot use."""

import datetime
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from fake_server import Listener
from fake_server.__main__ import main
from fake_server.key_source import KeySource

Run = Callable[..., tuple[str, str]]
Refuse = Callable[..., str]
ODD = """it's 5$ "a" `b` \\ !&+%41;#:é"""
ONE_CLIENT = "[[clients]]\nclient_id = 'a'\nclient_secret = 'S3CRET'\n"


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program as a process of its own, which is killed when it takes too long."""
    command = [sys.executable, "-W", "error", "-m", "fake_server", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        limit = threading.Timer(10, process.kill)
        limit.start()
        try:
            yield process
        finally:
            limit.cancel()
            limit.join()
            process.kill()


def get_token(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a client that believes what the program printed."""
    form = {"grant_type": "client_credentials", "scope": facts["scope"]}
    pair = facts["client_id"], facts["client_secret"]
    with requests.Session() as session:
        session.trust_env = False
        session.verify = facts["ca_file"] or True
        return dict(session.post(facts["token_url"], data=form, auth=pair, timeout=5).json())


def run_curl(line: str) -> dict[str, Any]:
    """Return the answer that a shell gets with the line as it stands."""
    quiet = os.environ | {"no_proxy": "127.0.0.1"}
    return dict(json.loads(subprocess.run(line, shell=True, capture_output=True, timeout=5, env=quiet).stdout))


@pytest.fixture
def run(keys: KeySource, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the program in this process until `meanwhile` has seen what it printed, and return that.

    It takes a free port of 127.0.0.1, whatever it is told, and the process's signals are not touched.
    """
    monkeypatch.setattr("fake_server.listener.KeySource", lambda: keys)
    monkeypatch.setattr("fake_server.__main__.Listener", lambda host, port, tls: Listener())
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)

    def call(*arguments: str, meanwhile: Callable[[str], object] = str) -> tuple[str, str]:
        printed: list[Any] = []

        def get() -> None:
            printed.append(capsys.readouterr())
            meanwhile(printed[0].out)

        monkeypatch.setattr("fake_server.__main__.SimpleQueue", lambda: SimpleNamespace(get=get))
        threads = set(threading.enumerate())
        assert main(arguments) == 0
        assert set(threading.enumerate()) <= threads
        return printed[0].out, printed[0].err

    return call


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run the program with settings that it refuses by status 2, and return the sentence below the usage."""

    def call(*arguments: str) -> str:
        threads = set(threading.enumerate())
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = capsys.readouterr()
        usage, _, sentence = err.rstrip("\n").rpartition("\npython -m fake_server: error: ")
        assert (ended.value.code, out) == (2, "")
        assert set(threading.enumerate()) <= threads
        assert usage.startswith("usage: python -m fake_server ")
        assert "S3CRET" not in err
        return sentence

    return call


def write(folder: Path, text: str) -> str:
    path = folder / "server.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


# A process of its own


def test_process_serves_what_its_json_says_until_sigterm() -> None:
    with running("--json", "--client", "smart-client:smart-secret") as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        host, _, port = facts["issuer"].removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            answer = get_token(facts)
            connection.sendall(b"GET")  # and no more: a client that is slow
            process.send_signal(signal.SIGTERM)
            rest = process.communicate(timeout=1)

    assert (facts["client_id"], facts["client_secret"]) == ("smart-client", "smart-secret")
    assert answer["token_type"] == "Bearer"
    assert (process.returncode, rest) == (0, ("", ""))


def test_process_prints_its_text_and_ends_on_sigint() -> None:
    with running() as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "Get a token:\n")
        (first, *_), curl = list(lines), process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=1)

    assert first == "The fake authorization server is ready. Stop it with Ctrl-C.\n"
    assert curl.startswith("curl -u ")
    assert (process.returncode, rest) == (0, ("", ""))


# What it prints


def test_json_is_one_line_with_null_for_what_is_not_served(run: Run) -> None:
    out, err = run("--json", "--client", "one:first:secret", "--client", "two:x", "--scope", "a", "--scope", "b")

    (line,) = out.splitlines()
    facts = json.loads(line)
    issuer = facts["issuer"]
    assert err == ""
    assert facts == {
        "token_url": f"{issuer}/v1/token",
        "issuer": issuer,
        "jwks_uri": f"{issuer}/v1/keys",
        "introspection_url": f"{issuer}/v1/introspect",
        "revocation_url": f"{issuer}/v1/revoke",
        "api_url": f"{issuer}/sc/datalake/v1",
        "client_id": "one",
        "client_secret": "first:secret",
        "scope": "a b",
        "ca_file": None,
        "control_url": facts["control_url"],
    }
    assert re.fullmatch(re.escape(issuer) + "/control-[A-Za-z0-9_-]{22}", facts["control_url"])


def test_text_has_the_urls_the_client_and_a_curl_line(run: Run) -> None:
    out, err = run("--client", "smart-client:smart-secret")

    url = out.split()[out.split().index("issuer") + 1]
    (control,) = re.findall("control-[A-Za-z0-9_-]{22}", out)
    assert err == ""
    assert out == (
        "The fake authorization server is ready. Stop it with Ctrl-C.\n"
        f"        token url  {url}/v1/token\n"
        f"           issuer  {url}\n"
        f"         jwks uri  {url}/v1/keys\n"
        f"introspection url  {url}/v1/introspect\n"
        f"   revocation url  {url}/v1/revoke\n"
        f"          api url  {url}/sc/datalake/v1\n"
        "        client id  smart-client\n"
        "    client secret  smart-secret\n"
        "            scope  ingr.api\n"
        f"      control url  {url}/{control}\n"
        "\n"
        "Get a token:\n"
        "curl -u smart-client:smart-secret --data-urlencode grant_type=client_credentials "
        f"--data-urlencode scope=ingr.api {url}/v1/token\n"
    )


@pytest.mark.parametrize(
    ("config", "arguments"), [("", ["--control", "/control"]), ("control = '/control'", [])], ids=["argument", "config"]
)
def test_control_has_the_path_it_is_given(run: Run, tmp_path: Path, config: str, arguments: list[str]) -> None:
    facts, clocks = [], []

    def meanwhile(out: str) -> None:
        facts.append(json.loads(out))
        requests.post(f"{facts[0]['control_url']}/clock/advance", json={"days": 365}, timeout=5).raise_for_status()
        clocks.append(requests.get(f"{facts[0]['control_url']}/clock", timeout=5).json()["result"])

    run("--json", "--config", write(tmp_path, config), *arguments, meanwhile=meanwhile)

    assert facts[0]["control_url"] == f"{facts[0]['issuer']}/control"
    year = datetime.datetime.fromisoformat(clocks[0]["now"]) - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(days=364) < year <= datetime.timedelta(days=365)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_lines_of_the_readme_control_the_server() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    (curl .*\$control_url.*)$", readme, re.MULTILINE)

    with running("--json") as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        get_token(facts)
        results = [run_curl(line.replace("$control_url", facts["control_url"]))["result"] for line in lines]

    armed, moved, checked, exchanges = results
    assert (armed[0]["fault"], moved, checked) == ("rate_limited", None, None)
    assert [exchange["status"] for exchange in exchanges] == [200]


def test_client_is_made_where_none_is_given(run: Run) -> None:
    one, other = [json.loads(run("--json")[0]) for _ in range(2)]

    assert one["client_id"].startswith("0oa")
    assert one["client_id"] != other["client_id"]
    assert one["client_secret"] != other["client_secret"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(
    "option",
    [
        "basic_decoding = 'either'",
        "basic_decoding = 'form'",
        "basic_decoding = 'raw'",
        "client_auth = 'client_secret_post'",
    ],
    ids=["either", "form", "raw", "post"],
)
def test_curl_line_works_for_odd_clients_and_scopes(run: Run, tmp_path: Path, option: str) -> None:
    client = f"[[clients]]\nclient_id = '''o'dd $HOME \"id\"'''\nclient_secret = '''{ODD}'''"
    config = write(tmp_path, f"""{option}\nscopes = ["api://x/.default?a&b=%41", "it's$"]\n{client}""")
    answers: list[dict[str, Any]] = []

    run("--config", config, meanwhile=lambda out: answers.append(run_curl(out.splitlines()[-1])))

    assert [answer.get("scope") for answer in answers] == ["api://x/.default?a&b=%41 it's$"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
def test_process_serves_https_and_removes_its_ca_at_the_end(number: signal.Signals) -> None:
    with running("--json", "--tls") as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        answer = get_token(facts)
        was_there = os.path.isfile(facts["ca_file"])
        process.send_signal(number)
        rest = process.communicate(timeout=1)

    assert facts["issuer"].startswith("https://127.0.0.1:")
    assert answer["token_type"] == "Bearer"
    assert (process.returncode, rest) == (0, ("", ""))
    assert (was_there, os.path.exists(os.path.dirname(facts["ca_file"]))) == (True, False)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("config", "arguments"), [("tls = true", []), ("", ["--tls"])], ids=["config", "argument"])
def test_curl_line_trusts_the_ca_of_https(tmp_path: Path, config: str, arguments: list[str]) -> None:
    with running("--config", write(tmp_path, config), *arguments) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("curl "))
        answer = run_curl(line)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=1)

    assert " --cacert " in line
    assert answer["token_type"] == "Bearer"


def test_host_that_others_reach_is_warned_of(run: Run) -> None:
    _, err = run("--host", "0.0.0.0")

    assert err == "warning: 0.0.0.0 can be reached from other machines; this is a server for tests\n"


@pytest.mark.parametrize("arguments", [[], ["--host", "localhost"], ["--host", "127.0.0.2"], ["--host", "::1"]])
def test_host_that_is_loopback_is_not_warned_of(run: Run, arguments: list[str]) -> None:
    assert run(*arguments)[1] == ""


# What it is told


@pytest.mark.parametrize(
    ("config", "arguments", "expected"),
    [
        ("", [], ("127.0.0.1", 8400)),
        ("host = 'localhost'\nport = 8401", [], ("localhost", 8401)),
        ("host = 'localhost'\nport = 8401", ["--host", "127.0.0.1", "--port", "0"], ("127.0.0.1", 0)),
    ],
    ids=["neither", "config", "both"],
)
def test_command_line_wins_over_the_config_file(
    refuse: Refuse,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    config: str,
    arguments: list[str],
    expected: tuple[str, int],
) -> None:
    asked: list[tuple[str, int]] = []

    def listen(host: str, port: int, tls: object) -> Listener:
        asked.append((host, port))
        raise OSError(errno.EADDRINUSE, "the port is busy")

    monkeypatch.setattr("fake_server.__main__.Listener", listen)

    assert refuse("--config", write(tmp_path, config), *arguments) == "the port is busy"
    assert asked == [expected]


def test_config_has_options_and_clients_with_settings_of_their_own(run: Run, tmp_path: Path) -> None:
    client = "scopes = ['b']\ntoken_lifetime = 60\ngrant_types = ['client_credentials']"
    config = write(tmp_path, f"scopes = ['a', 'b']\n{ONE_CLIENT}{client}")
    answers: list[dict[str, Any]] = []

    run("--json", "--config", config, meanwhile=lambda out: answers.append(get_token(json.loads(out))))

    assert [(answer["scope"], answer["expires_in"]) for answer in answers] == [("b", 60)]


def test_options_of_the_command_line_reach_the_server(run: Run) -> None:
    arguments = ["--token-lifetime", "61", "--scope", "x", "--dialect", "okta"]
    answers: list[dict[str, Any]] = []

    run("--json", *arguments, meanwhile=lambda out: answers.append(get_token(json.loads(out))))

    assert [(answer["scope"], answer["expires_in"]) for answer in answers] == [("x", 61)]


# What it refuses

NO_CLIENT = "--client takes ID:SECRET, both not empty and printable, with a colon between them"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--clint", "a:S3CRET"], "--clint is not an option; did you mean --client?"),
        (["--clint=a:S3CRET"], "--clint is not an option; did you mean --client?"),
        (["--token-life", "5"], "--token-life is not an option; did you mean --token-lifetime?"),
        (["--client", "a:b", "S3CRET"], "a word stands where no option takes it; --help lists the options"),
    ],
    ids=["misspelt", "misspelt-with-its-value", "abbreviated", "stray"],
)
def test_unknown_argument_is_named_and_its_value_is_not(refuse: Refuse, arguments: list[str], sentence: str) -> None:
    said = refuse(*arguments)

    assert said.startswith(sentence)
    assert "S3CRET" not in said


def test_busy_port_is_refused(refuse: Refuse, monkeypatch: pytest.MonkeyPatch, keys: KeySource) -> None:
    monkeypatch.setattr("fake_server.listener.KeySource", lambda: keys)
    with Listener() as listener:
        port = listener.url.rpartition(":")[2]

        sentence = refuse("--port", port)

    assert sentence == (
        f"port {port} of 127.0.0.1 cannot be opened ({os.strerror(errno.EADDRINUSE)}); "
        "end the program that uses it, or take port 0 for a free one"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--client", "S3CRET"], NO_CLIENT, id="client-without-colon"),
        pytest.param(["--client", ":S3CRET"], NO_CLIENT, id="client-without-id"),
        pytest.param(["--client", "id:"], NO_CLIENT, id="client-without-secret"),
        pytest.param(["--client", "id:S3CRET\udcff"], NO_CLIENT, id="client-not-utf-8"),
        pytest.param(
            ["--port", "0", "--client", "a:S3CRET", "--client", "a:S3CRET"],
            "a client 'a' is registered already; choose another client_id",
            id="client-twice",
        ),
        pytest.param(["--port", "http"], "argument --port: invalid int value: 'http'", id="port-text"),
        pytest.param(
            ["--port", "65536"],
            "port=65536 cannot be used: it takes a whole number from 0 to 65535",
            id="port-too-high",
        ),
        pytest.param(["--host", ""], "host='' cannot be used: it takes an address, such as 127.0.0.1", id="host-empty"),
        pytest.param(
            ["--token-lifetime", "0"],
            "token_lifetime=0 cannot be used: it takes a whole number from 1 to 999999999",
            id="lifetime",
        ),
        pytest.param(
            ["--scope", "a b"],
            "scopes=['a b'] cannot be used: it takes words, in a sequence or in one text parted by blanks",
            id="scope-of-two-words",
        ),
        pytest.param(["--dialect", "x"], "argument --dialect: invalid choice: 'x' (choose from ", id="dialect"),
    ],
)
def test_bad_argument_is_refused_by_a_sentence(refuse: Refuse, arguments: list[str], sentence: str) -> None:
    assert refuse(*arguments).startswith(sentence)


NO_TABLES = "{path} has clients that are not tables; begin each with a line [[clients]]"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("port = ", "{path} is not TOML: ", id="syntax"),
        pytest.param("a = " + "[" * 5000, "{path} is not TOML: ", id="nested-too-deep"),
        pytest.param(
            "token_lifetme = 5",
            "{path} has token_lifetme, which is not a setting; did you mean token_lifetime?",
            id="unknown-key",
        ),
        pytest.param(
            ONE_CLIENT + "scope = ['a']",
            "{path} has scope in clients, which is none; did you mean scopes?",
            id="unknown-key-of-a-client",
        ),
        pytest.param("clients = 'a:S3CRET'", NO_TABLES, id="clients-text"),
        pytest.param("clients = 5", NO_TABLES, id="clients-number"),
        pytest.param("clients = ['a:S3CRET']", NO_TABLES, id="clients-of-texts"),
        pytest.param("[clients]\nclient_id = 'S3CRET'", NO_TABLES, id="clients-one-table"),
        *[
            pytest.param(
                f"[[clients]]\n{text}",
                f"{{path}} has a client whose {name} is missing or not a text; give each client one",
                id=f"client-{case}",
            )
            for case, text, name in [
                ("without-id", "client_secret = 'S3CRET'", "client_id"),
                ("with-an-empty-id", "client_id = ''\nclient_secret = 'S3CRET'", "client_id"),
                ("with-a-number-for-id", "client_id = 5\nclient_secret = 'S3CRET'", "client_id"),
                ("without-secret", "client_id = 'a'", "client_secret"),
                ("with-a-list-for-secret", "client_id = 'a'\nclient_secret = ['S3CRET']", "client_secret"),
            ]
        ],
        *[
            pytest.param(
                f"{ONE_CLIENT}grant_types = {value}",
                "{path} has a client whose grant_types are not a list of texts",
                id=f"client-with-{case}-for-grant-types",
            )
            for case, value in [("a-text", "'S3CRET'"), ("a-number", "5"), ("numbers", "[5]")]
        ],
        pytest.param(
            ONE_CLIENT + "scopes = ['b']",
            "['b'] are not scopes of this server, which has ['ingr.api']",
            id="client-with-an-unknown-scope",
        ),
        pytest.param(ONE_CLIENT + "token_lifetime = 'x'", "token_lifetime='x' cannot be used", id="client-lifetime"),
        pytest.param("control = 5", "control=5 cannot be used: it takes a path, such as /control", id="control-number"),
        pytest.param("control = 'c'", "the path 'c' cannot be used; write a slash before each", id="control-no-slash"),
        pytest.param("control = ''", "a server is mounted at '' already", id="control-at-the-root"),
        pytest.param("scopes = ['a b']", "scopes=['a b'] cannot be used: it takes words", id="scopes-not-words"),
        pytest.param("scopes = 5", "scopes=5 cannot be used: it takes words", id="scopes-number"),
        pytest.param(
            "dialect = 'Okta'", "dialect='Okta' cannot be used: it takes a Dialect, or one of okta, ", id="dialect"
        ),
    ],
)
def test_bad_config_is_refused_by_a_sentence(
    refuse: Refuse, monkeypatch: pytest.MonkeyPatch, keys: KeySource, tmp_path: Path, text: str, sentence: str
) -> None:
    monkeypatch.setattr("fake_server.__main__.Listener", lambda host, port, tls: Listener())
    monkeypatch.setattr("fake_server.listener.KeySource", lambda: keys)
    path = write(tmp_path, text)

    assert refuse("--config", path).startswith(sentence.format(path=path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port = '8400'", "port='8400' cannot be used: it takes a whole number"),
        ("port = true", "port=True cannot be used: it takes a whole number"),
        ("host = 5", "host=5 cannot be used: it takes an address"),
    ],
)
def test_address_in_the_config_that_is_none_is_refused(
    refuse: Refuse, tmp_path: Path, text: str, sentence: str
) -> None:
    assert refuse("--config", write(tmp_path, text)).startswith(sentence)


@pytest.mark.parametrize(("name", "number"), [("none.toml", errno.ENOENT), ("", errno.EISDIR)], ids=["none", "folder"])
def test_config_that_cannot_be_read_is_refused(refuse: Refuse, tmp_path: Path, name: str, number: int) -> None:
    path = tmp_path / name

    assert refuse("--config", str(path)) == f"{path} cannot be read: {os.strerror(number)}"


def test_config_that_is_not_text_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b"host = '\xfc'")

    assert refuse("--config", str(path)).startswith(f"{path} is not TOML: ")
