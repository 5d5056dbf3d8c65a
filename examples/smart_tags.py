"""List the tags of a project that Smart Completions knows: `python smart_tags.py --prefix P-1`.

This is the program under test: it knows nothing of pytest or of a fake server. It reads its settings
from the environment, fetches a token by client credentials, pages through the API, gets a new token
when the old one has expired, and turns what goes wrong into errors of its own.
"""

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

TIMEOUT = 10
RENEW_BEFORE = 60  # seconds


class SmartApiError(Exception):
    """Something went wrong between this program and the Smart API."""


class LoginError(SmartApiError):
    """The authorization server gave no token."""


class AccessError(SmartApiError):
    """The API did not accept the token."""


@dataclass(frozen=True)
class Settings:
    """Where the API and its authorization server are, and who asks."""

    token_url: str
    api_url: str
    client_id: str
    client_secret: str
    scope: str = "ingr.api"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read SMART_API_TOKEN_URL, SMART_API_URL, SMART_API_CLIENT_ID and SMART_API_CLIENT_SECRET."""
        try:
            return cls(
                token_url=environment["SMART_API_TOKEN_URL"],
                api_url=environment["SMART_API_URL"],
                client_id=environment["SMART_API_CLIENT_ID"],
                client_secret=environment["SMART_API_CLIENT_SECRET"],
            )
        except KeyError as missing:
            raise SmartApiError(f"the environment variable {missing.args[0]} is not set") from None


class SmartApi:
    """A small client of the Smart API."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = requests.Session()
        self._token = ""
        self._renew_at = 0.0

    def close(self) -> None:
        self._session.close()

    def tags(self, prefix: str = "") -> Iterator[str]:
        """Yield the names of the tags, page after page."""
        url: str | None = f"{self._settings.api_url}/Tags"
        params: dict[str, str] | None = {"$filter": f"startswith(Name,'{prefix}')"} if prefix else None
        while url:
            page = self._get(url, params)
            for tag in page["value"]:
                yield tag["Name"]
            url, params = page.get("@odata.nextLink"), None

    def _get(self, url: str, params: dict[str, str] | None) -> Any:
        response = self._send(url, params)
        if response.status_code == 401:  # the token died before its time: once more with a new one
            self._token = ""
            response = self._send(url, params)
        if response.status_code in (401, 403):
            raise AccessError(f"the API refuses the token: {response.headers.get('WWW-Authenticate')}")
        if not response.ok:
            raise SmartApiError(f"the API answered {response.status_code}")
        return response.json()

    def _send(self, url: str, params: dict[str, str] | None) -> requests.Response:
        headers = {"Authorization": f"Bearer {self._access_token()}"}
        return self._session.get(url, params=params, headers=headers, timeout=TIMEOUT)

    def _access_token(self) -> str:
        if not self._token or time.time() >= self._renew_at:
            answer = self._request_token()
            self._token = answer["access_token"]
            self._renew_at = time.time() + answer["expires_in"] - RENEW_BEFORE
        return self._token

    def _request_token(self) -> Any:
        response = self._session.post(
            self._settings.token_url,
            auth=(self._settings.client_id, self._settings.client_secret),
            data={"grant_type": "client_credentials", "scope": self._settings.scope},
            timeout=TIMEOUT,
        )
        if response.status_code != 200:
            answer = response.json()
            raise LoginError(f"no token: {answer.get('error') or answer.get('errorCode')}")
        return response.json()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="List the tags of a project.")
    parser.add_argument("--prefix", default="", help="only tags whose name begins so")
    prefix = parser.parse_args(arguments).prefix
    try:
        with contextlib.closing(SmartApi(Settings.from_environment())) as api:
            for name in api.tags(prefix):
                print(name)
    except SmartApiError as error:
        print(f"smart_tags: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
