"""What a server was asked and what it answered."""

import datetime
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from fake_server.clock import Clock
from fake_server.refusals import Reason

__all__ = ["Exchange", "ExchangeLog", "Journal", "token_names"]


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Record one request and its answer. No secret and no token is in it.

    - `number`: its place in the journal, from 1, in the order of the answers.
    - `instant`: when it was answered by the server's clock, aware UTC.
    - `endpoint`: `token`, `api`, `introspection` or `revocation`; `other` for a refused request to another path.
    - `path`: as asked for, without the query.
    - `client_id`: the registered client that asked, where it is known.
    - `grant_type`, `scope`: as the token request had them.
    - `token_id`: names the token that was issued or presented (twelve digits of its hash).
    - `status`, `error`: of the answer.
    - `token_expires_at`: when the token that was issued ends, aware UTC.
    - `reason`, `diagnosis`: why it was refused; the diagnosis never went over the wire.
    - `fault`: the name of the fault that the test had armed for it.
    - `overlapping`: how many other token requests were under way when it came.
    - `came_after`: how many exchanges there were when a token request came; others may have been answered since.
    - `bent_rules`: the rules of RFC 6749 and 6750 that the client did not keep, whether the server let it pass or not.
    """

    number: int
    instant: datetime.datetime
    endpoint: str
    method: str
    path: str
    status: int
    client_id: str | None = None
    grant_type: str | None = None
    scope: str | None = None
    token_id: str | None = None
    error: str | None = None
    reason: Reason | None = None
    diagnosis: str | None = None
    token_expires_at: datetime.datetime | None = None
    fault: str | None = None
    overlapping: int = 0
    came_after: int = 0
    bent_rules: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the exchange as one line for a person."""
        return self.as_line({})

    def as_line(self, token_names: Mapping[str, str]) -> str:
        """Return the exchange as one line, its token under a short name where it has one."""
        parts = [
            f"{self.instant:%H:%M:%S}",
            f"{self.method} {self.path}",
            self.client_id and f"client {self.client_id}",
            self.grant_type and f"grant_type={self.grant_type}",
            self.scope and f"scope={self.scope}",
            self.token_id and f"token {token_names.get(self.token_id, self.token_id)}",
            f"→ {self.status}{' ' + self.error if self.error else ''}",
            self.fault and f"fault {self.fault}",
            self.diagnosis and f"why: {self.diagnosis}",
        ]
        # A path may hold a line feed.
        return "  ".join(part if part.isprintable() else repr(part)[1:-1] for part in parts if part)


def token_names(exchanges: Iterable[Exchange]) -> dict[str, str]:
    """Return short names for the tokens of these exchanges, T1, T2, ..., in the order of their first appearance."""
    ids = dict.fromkeys(exchange.token_id for exchange in exchanges if exchange.token_id)
    return {token_id: f"T{number}" for number, token_id in enumerate(ids, start=1)}


class ExchangeLog(Sequence[Exchange]):
    """Hold the latest exchanges, oldest first; safe to read while requests are served.

    `total` counts those that were dropped, too.
    """

    def __init__(self, size: int, lock: threading.Lock) -> None:
        self._lock = lock
        self._exchanges: deque[Exchange] = deque(maxlen=size)
        self.total = 0

    @overload
    def __getitem__(self, index: int) -> Exchange: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Exchange]: ...
    def __getitem__(self, index: int | slice) -> Exchange | Sequence[Exchange]:
        return self._exchanges[index] if isinstance(index, int) else self._snapshot()[index]

    def __len__(self) -> int:
        return len(self._exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._snapshot())

    def __reversed__(self) -> Iterator[Exchange]:
        return reversed(self._snapshot())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.total} exchanges>"

    def __str__(self) -> str:
        """Return the exchanges, one a line."""
        return "\n".join(map(str, self)) or "no request came"

    def _snapshot(self) -> tuple[Exchange, ...]:
        with self._lock:
            return tuple(self._exchanges)

    def _append(self, exchange: Exchange) -> None:
        self._exchanges.append(exchange)
        self.total += 1


class Journal(ExchangeLog):
    """Record every exchange with the token endpoint and the API, the latest `size` of each and of both."""

    def __init__(self, size: int) -> None:
        super().__init__(size, threading.Lock())
        self.token_requests = ExchangeLog(size, self._lock)
        self.api_requests = ExchangeLog(size, self._lock)
        self._views = {"token": self.token_requests, "api": self.api_requests}

    def record(self, *, clock: Clock, endpoint: str, **facts: Any) -> None:
        """Append an exchange; number and instant are given here, so that both grow together."""
        with self._lock:
            exchange = Exchange(number=self.total + 1, instant=clock.now(), endpoint=endpoint, **facts)
            self._append(exchange)
            if endpoint in self._views:
                self._views[endpoint]._append(exchange)
