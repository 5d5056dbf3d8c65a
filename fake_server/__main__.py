"""The fake server as a program of its own: `python -m fake_server`."""

import argparse
import contextlib
import json
import secrets
import shlex
import signal
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fake_server.control import Control
from fake_server.dialects import DIALECTS
from fake_server.listener import Listener, warning_of
from fake_server.options import OptionError, Options, nearest
from fake_server.server import AuthorizationServer

if TYPE_CHECKING:
    from fake_server.tls import CertificateAuthority

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pragma: no cover  # Python 3.10 alone

__all__ = ["main"]

_OWN_KEYS = ("host", "port", "clients", "control")
_CLIENT_KEYS = ("client_id", "client_secret", "scopes", "token_lifetime", "grant_types")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM and return 0; end with status 2 and a sentence when that cannot be."""
    parser = _parser()
    given, unknown = parser.parse_known_args(arguments)
    try:
        _check_unknown(unknown, known=vars(given))
        settings = _settings(given)
        stack = contextlib.ExitStack()
        facts, server = _start(settings, stack)
    except OSError as error:
        parser.error(str(error.strerror))
    except ValueError as error:
        parser.error(str(error))
    if (warning := warning_of(settings["host"])) is not None:
        print(f"warning: {warning}", file=sys.stderr)
    # An Event's set() in a signal handler can wait for ever for the wait() that it interrupts.
    stops: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stops.put(number))
    print(json.dumps(facts) if given.json else _as_text(facts, server), flush=True)
    stops.get()
    stack.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fake_server",
        allow_abbrev=False,
        description="A fake OAuth 2.0 authorization server for client credentials, and an API that takes its tokens.",
    )
    parser.add_argument("--host", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen on; 0 takes a free one (default: 8400)")
    parser.add_argument("--tls", action="store_true", default=None, help="serve over https, by a CA for tests")
    parser.add_argument(
        "--client", action="append", metavar="ID:SECRET", help="register a client; without any, one is made"
    )
    parser.add_argument("--scope", action="append", metavar="S", help="a scope there is (default: ingr.api)")
    parser.add_argument("--token-lifetime", type=int, metavar="N", help="seconds that a token is good (default: 3600)")
    parser.add_argument("--dialect", choices=sorted(DIALECTS), help="whose answers to give (default: okta)")
    parser.add_argument(
        "--config", type=Path, metavar="FILE.toml", help="read the same settings, and more, from a file"
    )
    parser.add_argument(
        "--control", metavar="PATH", help="where the control API is (default: at a path that nobody can guess)"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON when ready")
    return parser


def _check_unknown(words: Sequence[str], *, known: Iterable[str]) -> None:
    # No value is shown: it may be a secret.
    for word in words:
        if word.startswith("-"):
            name, options = word.partition("=")[0], [f"--{name.replace('_', '-')}" for name in known]
            raise OptionError(f"{name} is not an option; {nearest(name, options)}")
    if words:
        raise OptionError("a word stands where no option takes it; --help lists the options")


def _settings(given: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of the config file, those of the command line over them."""
    settings: dict[str, Any] = {"host": "127.0.0.1", "port": 8400, "clients": [], **_read_config(given.config)}
    told = {
        "host": given.host,
        "port": given.port,
        "scopes": given.scope,
        "tls": given.tls,
        "token_lifetime": given.token_lifetime,
        "dialect": given.dialect,
        "control": given.control,
        "clients": given.client and [_split_client(text) for text in given.client],
    }
    settings.update({name: value for name, value in told.items() if value is not None})
    return settings


def _read_config(path: Path | None) -> Mapping[str, Any]:
    if path is None:
        return {}
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror}") from error
    except (RecursionError, ValueError) as error:
        raise OptionError(f"{path} is not TOML: {error}") from error
    known = [*_OWN_KEYS, *Options.names()]
    for name in settings:
        if name not in known:
            raise OptionError(f"{path} has {name}, which is not a setting; {nearest(name, known)}")
    clients = settings.get("clients", [])
    if not isinstance(clients, list) or not all(isinstance(client, dict) for client in clients):
        raise OptionError(f"{path} has clients that are not tables; begin each with a line [[clients]]")
    for client in clients:
        _check_client(path, client)
    return settings


def _check_client(path: Path, client: Mapping[str, Any]) -> None:
    # No value is shown: it may be a secret.
    for name in client:
        if name not in _CLIENT_KEYS:
            raise OptionError(f"{path} has {name} in clients, which is none; {nearest(name, _CLIENT_KEYS)}")
    for name in ("client_id", "client_secret"):
        if not client.get(name) or not isinstance(client[name], str):
            raise OptionError(f"{path} has a client whose {name} is missing or not a text; give each client one")
    grant_types = client.get("grant_types", [])
    if not isinstance(grant_types, list) or not all(isinstance(name, str) for name in grant_types):
        raise OptionError(f"{path} has a client whose grant_types are not a list of texts")


def _split_client(text: str) -> Mapping[str, str]:
    client_id, colon, client_secret = text.partition(":")
    if not (client_id and colon and client_secret and text.isprintable()):
        # The text is not shown: it may be a secret.
        raise OptionError("--client takes ID:SECRET, both not empty and printable, with a colon between them")
    return {"client_id": client_id, "client_secret": client_secret}


def _start(
    settings: Mapping[str, Any], running: contextlib.ExitStack
) -> tuple[Mapping[str, str | None], AuthorizationServer]:
    """Return a running server and what is to be told of it; what must be ended again is on the stack, if all went well.

    Raises OSError and ValueError.
    """
    control_path = settings.get("control", f"/control-{secrets.token_urlsafe(16)}")
    if not isinstance(control_path, str):
        raise OptionError(f"control={control_path!r} cannot be used: it takes a path, such as /control")
    options = Options.from_mapping({name: value for name, value in settings.items() if name not in _OWN_KEYS})
    with contextlib.ExitStack() as stack:
        authority = _open_authority(stack) if options.tls else None
        listener = Listener(settings["host"], settings["port"], tls=authority)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the host: `main` tells it without a line of code
            stack.enter_context(listener)
        server = listener.serve(options, path="")
        for client in settings["clients"] or [{}]:
            server.register(**client)
        listener.mount(Control(server), path=control_path)
        running.push(stack.pop_all())
    return _facts(server, listener.url + control_path), server


def _open_authority(stack: contextlib.ExitStack) -> "CertificateAuthority":
    from fake_server.tls import CertificateAuthority  # late: few want it, and its imports cost

    return stack.enter_context(contextlib.closing(CertificateAuthority()))


def _facts(server: AuthorizationServer, control_url: str) -> Mapping[str, str | None]:
    credentials = server.credentials_of()
    return {
        "token_url": server.token_url,
        "issuer": server.issuer,
        "jwks_uri": server.jwks_uri,
        "introspection_url": server.introspection_url,
        "revocation_url": server.revocation_url,
        "api_url": server.api.url,
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "scope": credentials.scope,
        "ca_file": server.ca_file,
        "control_url": control_url,
    }


def _as_text(facts: Mapping[str, str | None], server: AuthorizationServer) -> str:
    lines = [f"{name.replace('_', ' '):>17}  {value}" for name, value in facts.items() if value is not None]
    return "\n".join(
        ["The fake authorization server is ready. Stop it with Ctrl-C.", *lines, "", "Get a token:", _curl(server)]
    )


def _curl(server: AuthorizationServer) -> str:
    """Return a command for a POSIX shell that gets a token in a way which the server's options allow."""
    credentials, options = server.credentials_of(), server.options
    pair = {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
    form = {"grant_type": "client_credentials", "scope": credentials.scope}
    words = ["curl"]
    if "client_secret_basic" in options.client_auth:
        raw = options.basic_decoding == "raw"
        words += ["-u", ":".join(text if raw else quote(text, safe="") for text in pair.values())]
    else:
        form.update(pair)
    for name, value in form.items():
        words += ["--data-urlencode", f"{name}={value}"]
    if server.ca_file is not None:
        words += ["--cacert", server.ca_file]
    return shlex.join([*words, credentials.token_url])


if __name__ == "__main__":
    # A thread gets its turn where another signs or waits for its client: to force more turns only costs time.
    sys.setswitchinterval(0.05)
    sys.exit(main())
