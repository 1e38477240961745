"""``requests`` cut down to what a poller needs: one adapter, hand-made requests, and time-outs that hold.

A session prepares, merges and copies for every call what never changes here; calling the adapter with a
request made by hand costs less than half of the processor time. Pools, TLS and errors remain as requests
handles them.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, cast

from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

# The ResourceManagers and the proxy are a handful of origins; more means addresses come and go.
_MAX_ORIGINS = 256


class StaleConnection(ConnectionResetError):  # noqa: N818 - what it is, like the errors of this package
    """A kept-alive connection was closed by the other side before it answered."""


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes until an instant that covers the whole answer.

    A socket time-out starts anew with every byte, so a server that sends one byte a second could hold a
    worker for hours.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer whose status, headers and body together take no longer than the socket's time-out."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        timeout = sock.gettimeout()
        if timeout is not None:
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_DeadlineReader(raw, sock, monotonic() + timeout))


class _Connection(HTTPConnection):
    """A connection that reports when it is opened and tells a stale reuse from a failed first request."""

    response_class = _TimedResponse
    opened: Callable[[str], None]
    answers = 0

    def connect(self) -> None:
        super().connect()
        self.answers = 0
        self.opened(f"{self.host}:{self.port}")

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 declares it
        try:
            response = super().getresponse()
        except ConnectionError as error:
            if self.answers:
                raise StaleConnection(str(error)) from error
            raise
        self.answers += 1
        return response


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class Request(PreparedRequest):
    """A request as it goes on the wire, with nothing looked up, merged or encoded on its way there.

    ``url`` must be percent-encoded already; header names must be in canonical case, because the YARN proxy's
    list of headers it passes on is case-sensitive.
    """

    def __init__(self, method: str, url: str, headers: CaseInsensitiveDict[str], body: bytes | None = None) -> None:
        super().__init__()
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        self.origin = (scheme, host)
        self.target = "/" + path


class Adapter(HTTPAdapter):
    """One pool per scheme, host and port, as large as the number of workers; no retries and no redirects.

    A pool that is in use to the last connection makes its caller wait: a connection beyond it would be thrown
    away after one answer. ``opened`` is called with host:port for every connection made.
    """

    def __init__(self, *, pool_size: int, opened: Callable[[str], None]) -> None:
        self._opened = opened
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}
        super().__init__(_MAX_ORIGINS, pool_size, Retry(0, read=False), pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        opened = {"opened": staticmethod(self._opened)}
        plain = {"ConnectionCls": type("Connection", (_Connection,), opened)}
        tls = {"ConnectionCls": type("TlsConnection", (_TlsConnection,), opened)}
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("Pool", (HTTPConnectionPool,), plain),
            "https": type("TlsPool", (HTTPSConnectionPool,), tls),
        }

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: Any,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,
    ) -> HTTPConnectionPool:
        origin = cast("Request", request).origin
        pool = self._pools.get(origin)
        if pool is None:
            if len(self._pools) >= _MAX_ORIGINS:
                self._pools.clear()
                self.poolmanager.clear()
            found = super().get_connection_with_tls_context(request, verify, proxies, cert)
            # Certificates are the client's, the same for every request, so the pool is told of them once.
            super().cert_verify(found, request.url, verify, cert)  # type: ignore[no-untyped-call]
            pool = self._pools[origin] = cast("HTTPConnectionPool", found)
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: done when the pool was made."""

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        return cast("Request", request).target

    def build_response(self, req: PreparedRequest, resp: BaseHTTPResponse) -> Response:
        """Wrap without copying headers, reading cookies or guessing an encoding."""
        response = Response()
        response.status_code = resp.status
        response.raw = resp
        return response
