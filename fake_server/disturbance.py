"""How a fault that is armed takes effect on an answer."""

from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from fake_server.api import json_response, sendable
from fake_server.faults import Fault, TransportFault
from fake_server.refusals import Refusal
from fake_server.state import ServerState

__all__ = ["PATIENCE", "armed_refusal", "disturb"]

# Where a door without a socket says how many seconds its caller waits for an answer.
PATIENCE = "fake_server.patience"


def armed_refusal(fault: Fault | None, endpoint: str) -> Refusal | None:
    """Return the refusal that a fault wants at an endpoint, or None."""
    if fault is None or endpoint not in fault.reasons:
        return None
    return Refusal(fault.reasons[endpoint], f"the test armed the fault {fault.name}", status=fault.status)


def disturb(state: ServerState, request: Request, fault: Fault | None, response: Response) -> Response:
    """Return the answer as a fault wants it. Raises TransportFault where the door is to let it fail.

    An error of the test's own `rewrite` is kept for the test, and the client gets a 500.
    """
    if fault is None:
        return response
    if fault.retry_after is not None and response.status_code >= 400:
        response.headers["Retry-After"] = str(fault.retry_after)
    if fault.rewrite is not None and response.status_code == 200:
        try:
            response = _rewritten(fault.rewrite, response)
        except BaseException as error:
            state.keep_error(error)
            response = json_response({"error": f"the rewrite of the fault {fault.name} raised an exception"}, 500)
    patience = request.environ.get(PATIENCE)
    if fault.transport == "slow" and (patience is None or fault.delay <= patience):
        state.waiting.wait(fault.delay)  # the test's end cuts it short
    elif fault.transport is not None:
        raise TransportFault(fault, response, state.waiting)
    return response


def _rewritten(rewrite: Callable[[Response], Response], response: Response) -> Response:
    rewritten = rewrite(response)
    if not isinstance(rewritten, Response):
        raise TypeError(f"a rewrite returns the response that it got, or another, not {rewritten!r:.60}")
    return sendable(rewritten)
