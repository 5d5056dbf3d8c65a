"""Which of a server's endpoints answers a request."""

from collections.abc import Callable
from typing import NamedTuple

from werkzeug.wrappers import Response

from fake_server.addresses import API_PATH, TOKEN_PATH, WELL_KNOWN
from fake_server.answers import answer_refusal
from fake_server.form import FormRequest
from fake_server.metadata import answer_jwks, answer_metadata, answer_unserved
from fake_server.protected_resource import answer_api
from fake_server.refusals import Reason, Refusal, said
from fake_server.state import ServerState
from fake_server.token_endpoint import ELSEWHERE, answer_elsewhere, answer_token
from fake_server.token_status import answer_introspection, answer_revocation

__all__ = ["Router"]


class _Endpoint(NamedTuple):
    name: str
    methods: tuple[str, ...] | None
    answer: Callable[[ServerState, FormRequest], Response]


_READ = ("GET", "HEAD")
_ALL = None


def _endpoints(state: ServerState) -> dict[str, _Endpoint]:
    dialect, mount_path = state.dialect, state.addresses.mount_path
    issuer_path = mount_path + dialect.issuer_path
    token = _Endpoint("token", ("POST",), answer_token)
    metadata = _Endpoint("other", _READ, answer_metadata)
    below_base: dict[str | None, _Endpoint] = {
        **{path: _Endpoint("other", _ALL, answer_unserved) for path in dialect.unserved.values()},
        dialect.introspection_path: _Endpoint("introspection", ("POST",), answer_introspection),
        dialect.revocation_path: _Endpoint("revocation", ("POST",), answer_revocation),
        dialect.jwks_path: _Endpoint("other", _READ, answer_jwks),
        ELSEWHERE: _Endpoint("other", _ALL, answer_elsewhere),
        TOKEN_PATH: token,
        dialect.token_path: token,
    }
    return {
        **{mount_path + path: endpoint for path, endpoint in below_base.items() if path is not None},
        # Okta and others append the well-known name to the issuer, RFC 8414 inserts it before the path.
        **{issuer_path + name: metadata for name in WELL_KNOWN},
        **{name + issuer_path: metadata for name in WELL_KNOWN},
    }


class Router:
    """Let the endpoint that a request is for answer it."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._endpoints = _endpoints(state)

    def answer(self, request: FormRequest, path: str) -> Response:
        """Return the answer of the endpoint that has this path, or of the API below it.

        Raises TransportFault for an answer that is to fail on its way, and what the test's own code raises.
        """
        api_path = self._state.addresses.mount_path + API_PATH
        if path == api_path or path.startswith(api_path + "/"):
            return answer_api(self._state, request, path.removeprefix(api_path))
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            diagnosis = (
                f"{said(path, 200)} is no path of this server; its token URL is {self._state.addresses.token_url}"
            )
            return answer_refusal(self._state, request, "other", Refusal(Reason.NOT_FOUND, diagnosis))
        if endpoint.methods is not None and request.method not in endpoint.methods:
            allowed = ", ".join(endpoint.methods)
            refusal = Refusal(
                Reason.METHOD_NOT_ALLOWED, f"{said(request.method, 40)} came; this endpoint takes {allowed} only"
            )
            response = answer_refusal(self._state, request, endpoint.name, refusal)
            if response.status_code == 405:
                response.headers["Allow"] = allowed
            return response
        return endpoint.answer(self._state, request)
