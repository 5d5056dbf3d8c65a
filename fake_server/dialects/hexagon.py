"""The dialect of an Okta server that is set up as Hexagon's instructions for the Smart API say.

The API's GUID, its audience, is a scope beside `ingr.api`, and tokens carry a session's id. The claim `name`,
which the instructions make of a user's names, is left out: client credentials have no user.
"""

import dataclasses
import datetime

from fake_server.dialects.okta import OKTA
from fake_server.dialects.terms import Grant, Members

__all__ = ["HEXAGON"]


def _claims(grant: Grant) -> Members:
    # The instructions take the marks out of the time of issue: 20260301T120000000Z.
    issued = datetime.datetime.fromtimestamp(grant.issued_at, datetime.timezone.utc)
    return {**OKTA.claims(grant), "ingr.session_id": f"{issued:%Y%m%dT%H%M%S}000Z"}


HEXAGON = dataclasses.replace(OKTA, name="hexagon", audience_scope=True, claims=_claims)
