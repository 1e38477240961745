"""Kerberos: what goes to a secured server with each request, and that a real KDC's tickets are understood."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from autoscaler.cluster import HttpClient, PutResult, Spnego, Transient, Unauthorized, keytab_tokens
from tests.adapters.kdc import Realm
from tests.adapters.stub import Answer, Call, Stub, json_of

COOKIE = 'hadoop.auth="u=autoscaler&p=autoscaler@TEST&t=kerberos&e=1&s=signed"'
SAID = json_of({"a": 1})
NO = Answer(status=401).with_headers(WWW_Authenticate="Negotiate")


class Secured:
    """A server as Hadoop's filter secures it: a token it accepts, then its cookie, until ``signed`` is another."""

    def __init__(self, stub: Stub, *tokens: bytes) -> None:
        self.signed = COOKIE
        self.used: list[str] = []
        self._accepted = tokens
        stub.otherwise(self._answer)

    def _answer(self, call: Call) -> Answer:
        token = (call.header("Authorization") or "").removeprefix("Negotiate ")
        if call.header("Cookie") == self.signed:
            self.used.append("cookie")
            return SAID
        if base64.b64decode(token) in self._accepted:
            self.used.append("token")
            return SAID.with_headers(Set_Cookie=f"{self.signed}; Path=/; HttpOnly")
        self.used.append("refused")
        return NO.with_headers(Set_Cookie="hadoop.auth=; Path=/; HttpOnly")


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with HttpClient(workers=2, timeout_s=2, spnego=Spnego(lambda host: f"I am here, {host}".encode())) as client:
        yield client


def test_one_token_is_enough(stub: Stub, http: HttpClient) -> None:
    """The first request to a server carries a token, the following reads its cookie; a PUT, which is sent once, does
    not rely on it."""
    secured = Secured(stub, b"I am here, 127.0.0.1")
    for _ in range(2):
        assert http.get_json(f"{stub.url}/x") == {"a": 1}
    assert http.put_json(f"{stub.url}/x", {}).result is PutResult.ACCEPTED
    assert secured.used == ["token", "cookie", "token"]


def test_a_cookie_that_is_no_longer_accepted_is_replaced(stub: Stub, http: HttpClient) -> None:
    """When it has run out the same read goes out once more with a token."""
    secured = Secured(stub, b"I am here, 127.0.0.1")
    http.get_json(f"{stub.url}/x")
    secured.signed = COOKIE.replace("signed", "anew")
    assert http.get_json(f"{stub.url}/x") == {"a": 1}
    assert secured.used == ["token", "refused", "token"]


def test_who_is_refused_does_not_insist(stub: Stub, http: HttpClient) -> None:
    """A token that is not accepted is sent once, and the message says what was asked for."""
    secured = Secured(stub)
    with pytest.raises(Unauthorized, match=r"401 \(Negotiate\)"):
        http.get_json(f"{stub.url}/x")
    assert http.put_json(f"{stub.url}/x", {}).result is not PutResult.ACCEPTED
    assert secured.used == ["refused", "refused"]


def test_without_a_ticket_nothing_is_sent(stub: Stub) -> None:
    """A KDC that gives none is a passing trouble, and of a PUT it is known that it was not sent."""

    def none(host: str) -> bytes:
        raise Transient("kerberos", f"no ticket for HTTP/{host}")

    with HttpClient(workers=2, timeout_s=2, spnego=Spnego(none)) as client:
        with pytest.raises(Transient, match=r"no ticket for HTTP/127\.0\.0\.1"):
            client.get_json(f"{stub.url}/x")
        assert client.put_json(f"{stub.url}/x", {}).result is PutResult.NOT_SENT
    assert stub.calls == []


@pytest.mark.servers
def test_a_real_kdcs_ticket_is_understood(realm: Realm, stub: Stub) -> None:
    """With a keytab alone, and nobody's kinit, a server that checks the token knows who asks."""
    who: list[str] = []

    def check(call: Call) -> Answer:
        who.append(realm.initiator(call))
        return SAID

    stub.otherwise(check)
    for principal in (None, "autoscaler"):
        spnego = Spnego(keytab_tokens(realm.client, principal))
        with HttpClient(workers=2, timeout_s=5, spnego=spnego) as client:
            assert client.get_json(f"http://localhost:{stub.port}/x") == {"a": 1}
    assert who == ["autoscaler@TEST"] * 2
    with pytest.raises(Transient, match=r"no ticket for HTTP/localhost with .*nobody"):
        keytab_tokens(realm.client.with_name("nobody"), None)("localhost")
