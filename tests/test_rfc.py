"""The table of RFC requirements: row -> test.

A row is tested by the functions that bear its id, such as `test_A13_repeated_parameter_is_an_invalid_request`, in
`test_rfc_server.py` for what binds the server and the API, and in `test_rfc_client.py` for what binds the token
client. `but` in a name marks a vendor's dialect that departs from the row.

- A, B: RFC 6749, with RFC 6585 (429), RFC 7617 (Basic), RFC 8707 (resource) and RFC 9110 (HTTP)
- C: RFC 6750, Bearer tokens at the API
- D: RFC 7009, revocation
- E: RFC 7662, introspection
- F: RFC 8414, metadata
- G: RFC 7515, 7517, 7519 and 8725, keys and JSON Web Tokens
- H: RFC 9068, JWT access tokens
- I: RFC 7521 and 7523, clients that sign who they are
"""

import re

import test_rfc_client
import test_rfc_server

ROWS = {"A": 23, "B": 15, "C": 15, "D": 6, "E": 4, "F": 6, "G": 5, "H": 5, "I": 5}

NOT_TESTED = {
    "A06": "no lock-out: a request has the same answer each time, and a test that wants 429 asks for it",
    "D06": "there is one type of token, which can be revoked, and revocation never answers 503",
}


def test_every_row_is_tested_or_has_a_reason_not_to_be() -> None:
    names = [name for name in (*vars(test_rfc_server), *vars(test_rfc_client)) if name.startswith("test_")]
    tested = {row for name in names for row in re.findall(r"(?<=_)[A-Z]\d\d(?=_)", name)}

    assert tested.isdisjoint(NOT_TESTED)
    assert tested | set(NOT_TESTED) == {f"{part}{n:02}" for part, last in ROWS.items() for n in range(1, last + 1)}
