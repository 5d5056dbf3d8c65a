"""The clients of a server: their secrets, the registry that holds them, and what is never shown."""

import gc
import hmac
from typing import Any

import pytest

from fake_server import RegisteredClient
from fake_server.clients import ClientRegistry, new_client_id, new_client_secret


def new_client(client_id: str = "smart-client", client_secret: str = "smart-secret") -> RegisteredClient:
    return RegisteredClient(client_id, client_secret, scopes=("ingr.api", "ingr.admin"), token_lifetime=60)


# Secrets


@pytest.mark.parametrize("secret", ["smart-secret", "a+b%c:d &£€", " ", "0"])
def test_client_has_its_secret(secret: str) -> None:
    assert new_client(client_secret=secret).has_secret(secret)


@pytest.mark.parametrize(
    "candidate", ["", "smart-secre", "smart-secret ", "smart-secret\0", "Smart-secret", "smart-secreţ", "smart-client"]
)
def test_client_has_no_other_secret(candidate: str) -> None:
    assert not new_client().has_secret(candidate)


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *pair: compared.append(pair))

    new_client().has_secret("wrong")

    assert compared == [(b"wrong", b"smart-secret")]


def test_rotated_secret_is_a_new_one_and_ends_the_old_one() -> None:
    client = new_client()

    secret = client.rotate_secret()

    assert client.client_secret == secret
    assert client.has_secret(secret)
    assert not client.has_secret("smart-secret")
    assert client.rotate_secret() != secret


def test_rotated_secret_may_be_given() -> None:
    client = new_client()

    assert client.rotate_secret("other") == "other"
    assert client.has_secret("other")


@pytest.mark.parametrize(("secret", "why"), [("", "must not be empty"), (7, "is no text, but of the type int")])
def test_rotating_to_what_is_no_secret_is_an_error_and_keeps_the_old_one(secret: Any, why: str) -> None:
    client = new_client()

    with pytest.raises(ValueError, match=f"^the client_secret of 'smart-client' {why}$"):
        client.rotate_secret(secret)

    assert client.has_secret("smart-secret")


def test_made_up_ids_and_secrets_are_letters_and_digits_and_never_the_same() -> None:
    ids = {new_client_id() for _ in range(100)}
    secrets = {new_client_secret() for _ in range(100)}

    assert len(ids) == len(secrets) == 100
    assert all(text.isascii() and text.isalnum() for text in ids | secrets)
    assert {(text[:3], len(text)) for text in ids} == {("0oa", 20)}
    assert {len(text) for text in secrets} == {40}


# What is shown


def test_repr_shows_the_id_and_the_scopes_and_no_secret() -> None:
    client = new_client()

    assert repr(client) == str(client) == "<RegisteredClient 'smart-client', scopes 'ingr.api ingr.admin'>"


def test_repr_shows_whether_the_client_is_disabled() -> None:
    client = new_client()

    client.disable()
    disabled = repr(client)
    client.enable()

    assert disabled == "<RegisteredClient 'smart-client', scopes 'ingr.api ingr.admin', disabled>"
    assert "disabled" not in repr(client)


# The registry


def test_registry_is_a_mapping_in_the_order_of_registration() -> None:
    registry, clients = ClientRegistry(), [new_client("b"), new_client("a")]
    for client in clients:
        registry.add(client)

    assert list(registry) == ["b", "a"]
    assert list(registry.values()) == clients
    assert registry["a"] is clients[1]
    assert "c" not in registry
    assert len(registry) == 2
    assert repr(registry) == "<ClientRegistry ['b', 'a']>"


def test_unknown_client_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="stranger"):
        ClientRegistry()["stranger"]


def test_registry_may_grow_while_it_is_read() -> None:
    registry = ClientRegistry()
    registry.add(new_client("a"))

    for client_id in registry:
        registry.add(new_client(client_id + "a"))

    assert list(registry) == ["a", "aa"]


NO_ID = "cannot be a client_id: it takes a printable text that is not empty"


@pytest.mark.parametrize(
    ("client_id", "client_secret", "message"),
    [
        ("smart-client", "x", "a client 'smart-client' is registered already; choose another client_id"),
        ("", "x", f"'' {NO_ID}"),
        ("a\nb", "x", rf"'a\nb' {NO_ID}"),
        (7, "x", f"7 {NO_ID}"),
        ("a", "", "the client_secret of 'a' must not be empty"),
        ("a", b"S3CRET", "the client_secret of 'a' is no text, but of the type bytes"),
        ("a", None, "the client_secret of 'a' is no text, but of the type NoneType"),
        (
            "a",
            "S3CRET\ud800",
            "the client_secret of 'a' has half a surrogate pair, which cannot be sent in UTF-8",
        ),
    ],
    ids=["taken", "empty-id", "line-feed", "number", "empty-secret", "octets", "none", "surrogate"],
)
def test_client_that_cannot_be_is_an_error_and_leaves_the_others(
    client_id: Any, client_secret: Any, message: str
) -> None:
    registry, first = ClientRegistry(), new_client()
    registry.add(first)

    with pytest.raises(ValueError, match="client") as raised:
        registry.add(new_client(client_id, client_secret))

    assert str(raised.value) == message
    assert dict(registry) == {"smart-client": first}


def test_clients_are_listed_while_the_garbage_collector_lets_another_register_one() -> None:
    registry = ClientRegistry()
    registry.add(new_client("first"))
    late = iter(range(1_000_000))

    def register(phase: str, _info: object) -> None:
        registry.add(new_client(f"late{next(late)}"))

    threshold = gc.get_threshold()
    gc.callbacks.append(register)
    gc.set_threshold(1)
    try:
        listed = [next(iter(registry.items()))[0] for _ in range(50)]
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(register)

    assert listed == ["first"] * 50
    assert len(registry) > 1
