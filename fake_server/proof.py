"""What a test can prove from the journal; each check raises AssertionError with the exchanges that contradict it.

Checks are of one client at a time: what another client of the same server does is neither proof nor contradiction.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice

from fake_server.clock import duration
from fake_server.faults import FAULTS
from fake_server.journal import Exchange, Journal, token_names

__all__ = ["check_no_hammering", "check_renewed_once", "check_single_flight", "check_token_requests"]

_MOST = 40  # exchanges that a message lists


def check_token_requests(journal: Journal, number: int) -> None:
    """Check that there were so many token requests."""
    __tracebackhide__ = True
    total = journal.token_requests.total
    if total != number:
        were = "request was" if number == 1 else "requests were"
        raise _failure(f"{number} token {were} expected, {total} came:", journal, journal.token_requests)


def check_single_flight(journal: Journal) -> None:
    """Check that no token was asked for while the same was under way, or fresh: for less than half its life."""
    __tracebackhide__ = True
    calls = tuple(journal.api_requests)
    latest: dict[_Want, Exchange] = {}
    issued: dict[_Want, Exchange] = {}
    for request in (requests := tuple(journal.token_requests)):
        want = _want(request)
        before, good = latest.get(want), issued.get(want)
        if before is not None and request.came_after < before.number:
            cause = f"while request {before.number} was under way"
        elif good is not None and _is_fresh(good, request, calls):
            cause = f"though the token of request {good.number} was fresh"
        else:
            cause = ""
        if cause:
            alike = [other for other in requests if _want(other) == want]
            raise _failure(f"request {request.number} asked for a token {cause}:", journal, alike)
        latest[want] = request
        if _is_readable(request, calls):
            issued[want] = request
    if not requests:
        raise _failure("one token request at a time was expected, none came:", journal, ())


def check_renewed_once(journal: Journal) -> None:
    """Check for one renewal: a call refused with 401, one good token request, the call with another token, no loop.

    Several calls may be refused with the old token, as those of threads are, and each must come again with the new
    one. A token request that fails, and is followed by a good one, is no second renewal.
    """
    __tracebackhide__ = True
    exchanges = tuple(journal)
    issuers = {exchange.token_id: exchange.client_id for exchange in exchanges if exchange.endpoint == "token"}

    def owner(exchange: Exchange) -> str | None:
        return exchange.client_id or issuers.get(exchange.token_id)

    # A call without a token says nothing of renewal.
    refused = [exchange for exchange in exchanges if _is_refused_call(exchange)]
    if not refused:
        raise _failure(
            "a call whose token is refused with 401 was expected, none came; of a client that renews before that, "
            "assert_token_requests(2) tells:",
            journal,
            exchanges,
        )
    owners = list(dict.fromkeys(map(owner, refused)))
    for client_id in [None] if None in owners else owners:
        _check_renewal(journal, [other for other in exchanges if client_id in (None, owner(other))])


def check_no_hammering(journal: Journal, min_interval: float) -> None:
    """Check that token requests of a client, for the same scope, are so many seconds apart by the server's clock."""
    __tracebackhide__ = True
    least = duration(min_interval)  # NaN would let everything pass
    latest: dict[_Want, Exchange] = {}
    for request in (requests := tuple(journal.token_requests)):
        want = _want(request)
        before = latest.get(want)
        if before is not None and (gap := (request.instant - before.instant).total_seconds()) < least:
            alike = [other for other in requests if _want(other) == want]
            claim = f"{least:g} s between token requests were expected, {gap:g} s passed between"
            raise _failure(f"{claim} {before.number} and {request.number}:", journal, alike)
        latest[want] = request


_Want = tuple[str | None, str | None]
_Call = tuple[str, str]


def _want(request: Exchange) -> _Want:
    return request.client_id, request.scope


def _call(exchange: Exchange) -> _Call:
    return exchange.method, exchange.path


def _is_refused_call(exchange: Exchange) -> bool:
    return exchange.endpoint == "api" and exchange.status == 401 and exchange.token_id is not None


def _is_readable(request: Exchange, later: Iterable[Exchange]) -> bool:
    """Tell whether the client has got a token: a fault may have kept it from it, unless it was seen with it."""
    if request.status != 200 or request.fault is None:
        return request.status == 200
    fault = FAULTS.get(request.fault)
    is_legal = fault is not None and fault.is_legal
    return is_legal or any(call.token_id == request.token_id for call in later if call.endpoint == "api")


def _is_fresh(issued: Exchange, asked: Exchange, calls: Iterable[Exchange]) -> bool:
    ends = issued.token_expires_at
    if ends is None or asked.instant - issued.instant >= (ends - issued.instant) / 2:
        return False
    between = (call for call in calls if issued.number < call.number < asked.number)
    return not any(_is_refused_call(call) and call.token_id == issued.token_id for call in between)


def _check_renewal(journal: Journal, exchanges: Sequence[Exchange]) -> None:
    __tracebackhide__ = True
    first = next(filter(_is_refused_call, exchanges)).number
    shown = [exchange for exchange in exchanges if exchange.number >= first]
    good = [other for other in shown if other.endpoint == "token" and _is_readable(other, shown)]
    if len(good) != 1:
        raise _failure(f"one good token request was expected after the 401, {len(good)} came:", journal, shown)
    renewal, new = good[0].number, good[0].token_id
    refused = [exchange for exchange in shown if _is_refused_call(exchange)]
    if any(call.token_id == new and call.number < renewal for call in refused):
        raise _failure("another token was expected after the 401, the refused one was given again:", journal, shown)
    refusals = Counter(_call(call) for call in refused if call.token_id != new)
    again = Counter(_call(call) for call in shown if call.endpoint == "api" and call.token_id == new)
    for call, times in refusals.items():
        if again[call] < times:
            claim = f"{' '.join(call)}, refused {_times(times)}, was expected as often with the new token"
            raise _failure(f"{claim}, it {_came(again[call])}:", journal, shown)
    for call, times in Counter(_call(call) for call in refused if call.token_id == new).items():
        if times > max(refusals[call], 1):
            claim = f"no loop was expected, {' '.join(call)} was refused {_times(times)} with the new token, too"
            raise _failure(f"{claim}:", journal, shown)


def _came(number: int) -> str:
    return f"came {_times(number)}" if number else "never came"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _failure(claim: str, journal: Journal, exchanges: Iterable[Exchange]) -> AssertionError:
    names, listed = token_names(journal), tuple(exchanges)
    lines = [f"  {exchange.number:>3}  {exchange.as_line(names)}" for exchange in islice(listed, _MOST)]
    if len(listed) > _MOST:
        lines.append(f"  and {len(listed) - _MOST} more")
    return AssertionError("\n".join([claim, *(lines or ["  no request came"])]))
