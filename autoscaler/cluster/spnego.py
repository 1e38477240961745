"""Saying who we are to a Hadoop secured by Kerberos: SPNEGO (RFC 4559), as Hadoop's servers have it.

The first request to a server carries a token, and its answer a signed cookie, which the following ones carry: a token
costs both sides a signature, and the server remembers it for a while so that nobody uses it twice.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from autoscaler.cluster.errors import Transient

Token = Callable[[str], bytes]
"""Makes a token for the service HTTP on a host. Raises ``Transient``."""

_SPNEGO: Final = "1.3.6.1.5.5.2"
_COOKIE: Final = re.compile(r'hadoop\.auth=(?:"[^"]+"|[^";,\s]+)')


class Spnego:
    """What proves to each server who we are. Safe to use from several threads."""

    def __init__(self, token: Token) -> None:
        self._token = token
        self._cookies: dict[str, str] = {}
        self._lock = threading.Lock()

    def headers(self, url: str) -> Mapping[str, str]:
        """Return the headers to send: the server's cookie, or a token. Raises Transient where none can be had."""
        with self._lock:
            cookie = self._cookies.get(_origin(url))
        return self.token(url) if cookie is None else {"Cookie": cookie}

    def token(self, url: str) -> Mapping[str, str]:
        """Return a header that is good once and needs no cookie. Raises Transient where none can be had."""
        token = base64.b64encode(self._token(urlsplit(url).hostname or "")).decode("ascii")
        return {"Authorization": f"Negotiate {token}"}

    def learn(self, url: str, headers: Mapping[str, str]) -> None:
        """Keep the cookie an answer sets."""
        found = _COOKIE.search(headers.get("Set-Cookie", ""))
        if found is not None:
            with self._lock:
                self._cookies[_origin(url)] = found.group()

    def forget(self, url: str) -> bool:
        """Drop a server's cookie, which it no longer accepts; false if there was none to drop."""
        with self._lock:
            return self._cookies.pop(_origin(url), None) is not None


def _origin(url: str) -> str:
    return urlsplit(url).netloc


def keytab_tokens(keytab: Path, principal: str | None) -> Token:
    """Return what makes tokens with the keys in a file, as ``principal`` or the first one in it.

    Tickets are fetched and renewed as they are needed. Raises ``ImportError`` without the extra ``kerberos``.
    """
    import gssapi

    name = None if principal is None else gssapi.Name(principal, gssapi.NameType.kerberos_principal)
    # a cache of our own, so that nobody's kinit counts
    store = {"client_keytab": str(keytab), "ccache": f"MEMORY:{keytab}"}

    def token(host: str) -> bytes:
        try:
            credentials = gssapi.Credentials(name=name, usage="initiate", store=store)
            service = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
            mechanism = gssapi.OID.from_int_seq(_SPNEGO)
            context: Any = gssapi.SecurityContext(name=service, creds=credentials, usage="initiate", mech=mechanism)
            return bytes(context.step())
        except gssapi.exceptions.GSSError as error:
            raise Transient("kerberos", f"no ticket for HTTP/{host} with {keytab}: {error}") from error

    return token
