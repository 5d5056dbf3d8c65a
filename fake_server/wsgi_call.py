"""A call of a WSGI application (PEP 3333) by one of the doors, with what an armed fault makes of its answer."""

from typing import TYPE_CHECKING, Any, NamedTuple

from fake_server.faults import TransportFault

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

__all__ = ["Answer", "call_app"]


class Answer(NamedTuple):
    """Hold an answer; a `disturbance` says how it is to fail on its way."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    disturbance: TransportFault | None


def call_app(app: "WSGIApplication", environ: "WSGIEnvironment") -> Answer:
    """Return an application's answer to a request. Raises what the application raises."""
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started[:] = [status, headers]

    disturbance = None
    try:
        chunks: Any = app(environ, start_response)
    except TransportFault as fault:
        disturbance, chunks = fault, fault.response(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    status, headers = started
    return Answer(status, headers, body, disturbance)
