"""The application that a WSGI server of its own runs, made before its processes are forked."""

from typing import Any

import jwt
import pytest
from werkzeug.test import Client

from fake_server import OptionError, create_app

FORM = {"grant_type": "client_credentials", "scope": "ingr.api"}


def test_app_has_its_client_and_key_when_it_is_made() -> None:
    app = create_app("https://idp.example.com/as/", "my-client", "my-secret", dialect="rfc6749", signing_alg="ES256")
    http = Client(app)

    value = http.post("/as/v1/token", data=FORM, auth=("my-client", "my-secret")).get_json()["access_token"]
    key = jwt.PyJWKSet.from_dict(http.get("/as/jwks").get_json()).keys[0]

    claims = jwt.decode(value, key, algorithms=["ES256"], audience=app.options.audience, issuer=app.issuer)
    assert (claims["iss"], claims["client_id"]) == ("https://idp.example.com/as", "my-client")
    assert app.token_url == "https://idp.example.com/as/token"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("idp.example.com", "c", "s"), {}, "base_url"),
        (("http://idp.test", "c", "s"), {"token_lifetme": 60}, "did you mean token_lifetime"),
        (("http://idp.test", "c", ""), {}, "client_secret"),
    ],
    ids=["url", "option", "secret"],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, str, str], options: dict[str, Any], message: str) -> None:
    with pytest.raises((OptionError, ValueError), match=message):
        create_app(*arguments, **options)
