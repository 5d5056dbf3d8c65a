"""What a failed test's report tells of its servers: the exchanges, one a line, and each token's life."""

import datetime
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fake_server import AuthorizationServer, Exchange

__all__ = ["render_server"]

_WIDTH = 100
_FIRST_ROWS, _LAST_ROWS = 10, 30  # of a longer story, its beginning and its end
_MOST_TOKENS = 10
_WIDEST_CELL = 36
_HEADINGS = ("when", "request", "client", "asked for", "token", "answer")
_EVENTS = {"introspection": "looked up", "revocation": "revoked"}


class _Row(NamedTuple):
    """Be exchanges that follow each other and differ in their time alone."""

    first: "Exchange"
    last: "Exchange"
    times: int
    is_given_again: bool


@dataclass
class _Column:
    """Be an instant in the life of one token, or the end of several."""

    when: str
    labels: dict[str, str]
    ended: set[str] = field(default_factory=set)

    @property
    def width(self) -> int:
        return max(map(len, (self.when, *self.labels.values()))) + 2


def render_server(server: "AuthorizationServer", since: int = 0) -> str:
    """Return the exchanges after number `since`, one a line, and the life of each token. No secret is in it."""
    from fake_server.journal import token_names

    exchanges = [exchange for exchange in server.journal if exchange.number > since]
    heading = f"{server.issuer} ({server.options.spoken().name})"
    if not exchanges:
        return f"{heading}: no request came"
    names, start = token_names(exchanges), exchanges[0].instant
    lines = [f"{heading}, +0 is {start:%Y-%m-%d %H:%M:%S} UTC"]
    if dropped := server.journal.total - since - len(exchanges):
        lines.append(f"{dropped} earlier exchanges are not kept (journal_size)")
    rows = list(_rows(exchanges))
    first, last = rows, rows[len(rows) :]
    if len(rows) > _FIRST_ROWS + _LAST_ROWS:
        first, last = rows[:_FIRST_ROWS], rows[-_LAST_ROWS:]
    left_out = len(exchanges) - sum(row.times for row in first + last)
    lines += ["", *_table(first, last, left_out, names, start)]
    if names:
        lines += ["", *_lives(first + last, names, start)]
    return "\n".join(line.rstrip() for line in lines)


def _rows(exchanges: Iterable["Exchange"]) -> Iterable[_Row]:
    known: set[str | None] = set()
    for _, group in groupby(exchanges, _likeness):
        alike = list(group)
        is_issued = alike[0].endpoint == "token" and alike[0].token_id is not None
        yield _Row(alike[0], alike[-1], len(alike), is_issued and alike[0].token_id in known)
        known.add(alike[0].token_id)


def _likeness(exchange: "Exchange") -> tuple[object, ...]:
    # A token that is given again is an event of its own.
    own = exchange.number if exchange.endpoint == "token" and exchange.token_id else 0
    return (own, exchange.endpoint, exchange.token_id, *_cells(exchange), *_notes(exchange))


def _cells(exchange: "Exchange", token: str = "") -> tuple[str, ...]:
    cells = (
        f"{exchange.method} {exchange.path}",
        exchange.client_id or "",
        " ".join(word for word in (exchange.grant_type, exchange.scope) if word),
        token,
        f"{exchange.status} {exchange.error or ''}".rstrip(),
    )
    return tuple(_cut(text if text.isprintable() else repr(text)[1:-1]) for text in cells)


def _cut(text: str) -> str:
    # In its middle: a path's end tells more than that.
    half = _WIDEST_CELL // 2
    return text if len(text) <= _WIDEST_CELL else f"{text[:half]}…{text[1 - half :]}"


def _notes(exchange: "Exchange") -> Iterable[str]:
    if exchange.diagnosis:
        yield f"why: {exchange.diagnosis}"
    if exchange.fault:
        yield f"fault: {exchange.fault}"
    for rule in exchange.bent_rules:
        yield f"bends: {rule}"


def _table(
    first: Sequence[_Row],
    last: Sequence[_Row],
    left_out: int,
    names: Mapping[str, str],
    start: datetime.datetime,
) -> Iterable[str]:
    cells = [(_since(start, row.first.instant), *_cells(row.first, _token(row, names))) for row in (*first, *last)]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *cells, strict=True)]
    yield _aligned(_HEADINGS, widths)
    for number, (row, texts) in enumerate(zip((*first, *last), cells, strict=True)):
        if left_out and number == len(first):
            yield f"  {'…'.rjust(widths[0])}  {left_out} exchanges are left out here"
        yield _aligned(texts, widths) + _repeated(row, start)
        for note in _notes(row.first):
            yield from _wrapped(note, widths[0] + 4)


def _token(row: _Row, names: Mapping[str, str]) -> str:
    return names.get(row.first.token_id or "", "") + (" again" if row.is_given_again else "")


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    when, *others = (text.ljust(width) for text, width in zip(cells, widths, strict=True))
    return "  ".join(["", when.strip().rjust(widths[0]), *others])


def _repeated(row: _Row, start: datetime.datetime) -> str:
    if row.times == 1:
        return ""
    is_long = row.first.instant != row.last.instant
    return f"  ×{row.times}" + (f", until {_since(start, row.last.instant)}" if is_long else "")


def _wrapped(note: str, indent: int) -> Iterable[str]:
    # The first word, `why:` and the like, stands out.
    hanging = " " * (indent + len(note.partition(" ")[0]) + 1)
    return textwrap.wrap(
        note,
        _WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _lives(rows: Sequence[_Row], names: Mapping[str, str], start: datetime.datetime) -> Iterable[str]:
    """Return a lane for each token on one axis of time, which goes on in a further block where it is too wide."""
    columns = _columns(rows, names, start)
    lanes = list(dict.fromkeys(lane for column in columns for lane in column.labels))
    if len(lanes) > _MOST_TOKENS:
        yield f"  of {len(lanes)} tokens, the lives of the last {_MOST_TOKENS}:"
        lanes = lanes[-_MOST_TOKENS:]
        columns = [column for column in columns if not column.labels.keys().isdisjoint(lanes)]
    margin = max(map(len, lanes)) + 4
    drawn = {lane: _lane(lane, columns) for lane in lanes}
    for begin, end in _blocks(columns, _WIDTH - margin):
        yield " " * margin + "".join(column.when.ljust(column.width) for column in columns[begin:end])
        for lane, segments in drawn.items():
            if any(lane in column.labels for column in columns[begin:end]):
                yield f"  {lane.ljust(margin - 2)}{''.join(segments[begin:end])}"


def _columns(rows: Sequence[_Row], names: Mapping[str, str], start: datetime.datetime) -> list[_Column]:
    columns: list[tuple[datetime.datetime, _Column]] = []
    ends: dict[datetime.datetime, set[str]] = {}
    for row in rows:
        instant, lane = row.first.instant, names.get(row.first.token_id or "")
        if lane is None:
            continue
        columns.append((instant, _Column(_since(start, instant), {lane: _label(row)})))
        if row.first.token_expires_at is not None:
            ends.setdefault(row.first.token_expires_at, set()).add(lane)
    for end, lanes in ends.items():
        at = next((number for number, (instant, _) in enumerate(columns) if instant >= end), len(columns))
        columns.insert(at, (end, _Column(_since(start, end), dict.fromkeys(lanes, "ends"), ended=lanes)))
    return [column for _, column in columns]


def _label(row: _Row) -> str:
    if row.first.endpoint == "token":
        return "given again" if row.is_given_again else "issued"
    label = _EVENTS.get(row.first.endpoint, str(row.first.status))
    return f"{label} ×{row.times}" if row.times > 1 else label


def _lane(lane: str, columns: Sequence[_Column]) -> list[str]:
    """Return one token's part of each column: a line while it is good, dots when it has ended."""
    own = [number for number, column in enumerate(columns) if lane in column.labels]
    segments, fill = [], "─"
    for number, column in enumerate(columns):
        fill = "·" if lane in column.ended else fill
        is_alive = own[0] <= number < own[-1]
        segments.append(column.labels.get(lane, "").ljust(column.width, fill if is_alive else " "))
    return segments


def _blocks(columns: Sequence[_Column], width: int) -> Iterable[tuple[int, int]]:
    begin, used = 0, 0
    for number, column in enumerate(columns):
        if used and used + column.width > width:
            yield begin, number
            begin, used = number, 0
        used += column.width
    yield begin, len(columns)


def _since(start: datetime.datetime, instant: datetime.datetime) -> str:
    """Return how long after the start an instant is, rounded down, as `+2 ms`, `+1.5 s` or `+1 h 30 min`."""
    seconds = (instant - start).total_seconds()
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    if not seconds:
        return "+0"
    if seconds < 1:
        return f"{sign}{int(seconds * 1000)} ms"
    if seconds < 10 and seconds % 1:
        return f"{sign}{int(seconds * 10) / 10:g} s"
    parts, rest = [], int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number} {unit}")
    return sign + " ".join(parts)
