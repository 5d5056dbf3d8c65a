#!/usr/bin/env python3
"""Write README's table of what each dialect answers to each refusal, or say with --check whether it is stale."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from fake_server import Dialect, Reason
from fake_server.dialects import DIALECTS, rfc6749

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- answers -->", "<!-- /answers -->"
# What is no token endpoint's refusal, and what a test brings about by code of its own.
ELSEWHERE = {
    Reason.NOT_FOUND,
    Reason.NOT_SERVED,
    Reason.MISSING_TOKEN,
    Reason.TOKEN_OF_ANOTHER_CLIENT,
    Reason.REDIRECTED,
    Reason.REDIRECT_FOLLOWED,
    Reason.CLAIMS_FAILED,
}
# Where one dialect does not refuse what others do.
ACCEPTED: Mapping[Reason, tuple[Callable[[Dialect], bool], str]] = {
    Reason.DUPLICATED_PARAMETER: (lambda dialect: dialect.joins_duplicates, "joined by a comma"),
    Reason.MULTIPLE_CREDENTIALS: (lambda dialect: dialect.first_credentials_win, "the header's are taken"),
    Reason.MISSING_SCOPE: (lambda dialect: dialect.grants_all_scopes, "200, all scopes"),
    Reason.SCOPE_NOT_ALLOWED: (lambda dialect: dialect.resource_scopes, "200, the client's own"),
    Reason.SCOPE_WITHOUT_RESOURCE: (lambda dialect: not dialect.resource_scopes, "–"),
    Reason.MULTIPLE_RESOURCES: (lambda dialect: not dialect.resource_scopes, "–"),
    Reason.UNKNOWN_RESOURCE: (
        lambda dialect: not (dialect.resource_scopes or dialect.resource_parameter),
        "not looked at",
    ),
}


def table() -> str:
    """Return the table in Markdown."""
    reasons = [reason for reason in Reason if reason in rfc6749.ERRORS and reason not in ELSEWHERE]
    lines = [["refused for", *(f"`{name}`" for name in DIALECTS)], ["---"] * (len(DIALECTS) + 1)]
    lines += [[_readable(reason), *(_answer(dialect, reason) for dialect in DIALECTS.values())] for reason in reasons]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _readable(reason: Reason) -> str:
    return reason.value.replace("_", " ").replace("utf8", "UTF-8").replace("openid", "OpenID").replace("basic", "Basic")


def _answer(dialect: Dialect, reason: Reason) -> str:
    if reason in ACCEPTED:
        accepts, instead = ACCEPTED[reason]
        if accepts(dialect):
            return instead
    if dialect.resource_scopes and reason in (Reason.OPENID_SCOPE, Reason.UNKNOWN_SCOPE):
        reason = Reason.SCOPE_WITHOUT_RESOURCE
    answer = dialect.error(reason, "token")
    return f"{answer.status} {answer.error}".strip()


def main() -> int:
    """Return the exit status: 1 when README is stale and --check was given, or has no place for the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when README is stale")
    check = parser.parse_args().check
    text = README.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"README.md has no lines {BEGIN} and {END}; put them where the table belongs", file=sys.stderr)
        return 1
    fresh = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if fresh != text and check:
        print("README.md's table of answers is stale; run python .ci/answers_table.py", file=sys.stderr)
        return 1
    if fresh != text:
        README.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
