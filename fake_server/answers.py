"""How an answer is made and entered in the journal, the same at every endpoint.

The entry is written before the answer leaves, so that who has the answer finds the entry.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from werkzeug.wrappers import Response

from fake_server.api import json_response, made_response
from fake_server.form import FormRequest
from fake_server.jose import compact_json
from fake_server.refusals import Reason, Refusal, clip
from fake_server.rules import bent_rules
from fake_server.state import ServerState

__all__ = ["CLIP", "SHOWN", "answer_in_dialect", "answer_refusal", "record", "record_refusal"]

CLIP = 200  # characters of a client's own words that the journal keeps
# Where a listener finds how a request may be shown in its log.
SHOWN = "fake_server.shown"
_CLIENTS_WORDS = ("grant_type", "scope", "diagnosis")
_JWT = re.compile(r"eyJ[\w-]{8,}[\w.-]*", re.IGNORECASE)
_OPAQUE_LENGTH = 43
_OPAQUE = re.compile(rf"[\w-]{{{_OPAQUE_LENGTH},}}", re.ASCII)


def answer_in_dialect(
    state: ServerState, members: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with these members; without any, it has no body."""
    text = compact_json(members) if members else ""
    return made_response(text, status, state.dialect.content_type, headers)


def answer_refusal(state: ServerState, request: FormRequest, endpoint: str, refusal: Refusal, **asked: Any) -> Response:
    """Refuse a request in the words of the server's dialect."""
    answer = state.dialect.error(refusal.reason, endpoint)
    if refusal.status is not None:
        answer = dataclasses.replace(answer, status=refusal.status)
    record_refusal(state, request, endpoint, refusal, status=answer.status, error=answer.error or None, **asked)
    now = state.clock.now()
    headers = {**state.dialect.error_headers, **answer.headers(now)}
    response = answer_in_dialect(state, answer.body(answer, now), answer.status, headers)
    challenge = state.dialect.challenge(state.addresses.issuer) if answer.status == 401 else None
    if challenge is not None:
        response.headers["WWW-Authenticate"] = challenge
    return response


def record(state: ServerState, request: FormRequest, endpoint: str, status: int, **facts: Any) -> None:
    """Enter an exchange in the journal; what is known of it besides goes by the names of `Exchange`."""
    # The path without the query, where a client may have put its secret; all is cut when it is clean, as half a secret
    # would not be found.
    words = {"method": request.method, "path": request.root_path + request.path}
    for name in _CLIENTS_WORDS:
        if facts.get(name):
            words[name] = facts[name]
    words = _without_secrets(state, words)
    method, path = words.pop("method")[:CLIP], words.pop("path")[: 2 * CLIP]
    for name, text in words.items():
        facts[name] = clip(text) if name == "diagnosis" else text[:CLIP]
    request.environ[SHOWN] = f"{method} {path}"
    state.journal.record(
        clock=state.clock,
        endpoint=endpoint,
        method=method,
        path=path.removeprefix(state.addresses.mount_path)[:CLIP],
        status=status,
        bent_rules=bent_rules(request, endpoint, state.clients, reads_raw=state.options.basic_decoding == "raw"),
        **facts,
    )


def record_refusal(
    state: ServerState, request: FormRequest, endpoint: str, refusal: Refusal, *, status: int, **facts: Any
) -> None:
    """Enter a refused exchange, with what only the test's author learns of it."""
    facts["client_id"] = facts.get("client_id") or refusal.client_id
    record(state, request, endpoint, status, reason=refusal.reason, diagnosis=refusal.uncut, **facts)


def _without_secrets(state: ServerState, texts: dict[str, str]) -> dict[str, str]:
    """Take secrets and tokens out of a client's own words, where it put them in the wrong place."""
    together = "\n".join(texts.values()).lower()  # a method comes in upper case, a media type in lower case
    found = [shape for client in state.clients.values() for shape in client.secret_shapes() if shape in together]
    # Opaque tokens have no mark but their length, which few other words have.
    is_opaque = state.options.token_format == "opaque" and max(map(len, texts.values())) >= _OPAQUE_LENGTH
    if not found and not is_opaque and "eyj" not in together:
        return texts  # nearly always, and quicker
    return {name: _clean(text, found, is_opaque=is_opaque) for name, text in texts.items()}


def _clean(text: str, found: Iterable[str], *, is_opaque: bool) -> str:
    for shape in found:
        text = re.sub(re.escape(shape), "…", text, flags=re.IGNORECASE)
    text = _JWT.sub("eyJ…", text)
    return _OPAQUE.sub("…", text) if is_opaque else text


def answer_failure(state: ServerState, request: FormRequest, error: Exception) -> Response:
    """Answer 500 where the answer itself cannot be made, because the test's own dialect or callable raised."""
    diagnosis = f"the answer could not be made: {type(error).__name__}"
    record_refusal(state, request, "other", Refusal(Reason.ANSWER_FAILED, diagnosis), status=500)
    return json_response(
        {"error": "server_error", "error_description": "The test's own code raised an exception."}, 500
    )
