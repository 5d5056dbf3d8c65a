"""The README's first test, and its answers to "how do I ...?"."""

import requests


def fetch_tags(token_url, client_id, client_secret, api_url):  # the code under test
    form = {"grant_type": "client_credentials", "scope": "ingr.api"}
    answer = requests.post(token_url, data=form, auth=(client_id, client_secret)).json()
    return requests.get(f"{api_url}/Tags", headers={"Authorization": f"Bearer {answer['access_token']}"}).json()


def test_tags_are_fetched(sc_auth_credentials, sc_auth_api):
    sc_auth_api.get("/Tags", json=["P-101", "P-102"])
    c = sc_auth_credentials
    assert fetch_tags(c.token_url, c.client_id, c.client_secret, c.api_url) == ["P-101", "P-102"]
