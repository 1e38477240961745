"""JSON over HTTP, for a poller: few connections, hard limits, and every way of failing told apart.

Answers come through the YARN proxy, which speaks HTML when the application does not answer, redirects when it
is not there, and says 200 to both at times. So nothing counts as an answer but JSON that says it is JSON.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http.client import HTTPException
from time import monotonic
from time import sleep as _sleep
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from requests import exceptions as failed
from requests.structures import CaseInsensitiveDict
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_fixed
from urllib3 import exceptions as wire

from autoscaler.cluster.errors import ClusterError, Gone, Rejected, Transient, Unauthorized
from autoscaler.cluster.spnego import Spnego
from autoscaler.cluster.transport import Adapter, Request, StaleConnection

_MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_MAX_CONNECT_S: Final = 3.0
_MAX_TEXT: Final = 300
_RETRIES: Final = 2
_RETRY_WAIT_S: Final = 0.1
_LEAST_S: Final = 0.01
_PER_APPLICATION: Final = 2
_NOT_OF_FLINK: Final = (408, 429)  # like 401 and 403 said by what stands before Flink, which has no users and no quotas
_PACKAGE: Final = re.compile(r"^(?:[a-z_][\w$]*\.)+(?=[A-Z])")


class PutResult(StrEnum):
    """What became of a PUT, as far as its answer tells."""

    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    NOT_SENT = "NOT_SENT"
    """It did not reach the application: no connection, or the proxy answered in its place."""
    WITHDRAWN = "WITHDRAWN"
    """Nothing was sent, because at the last moment somebody objected."""
    UNCERTAIN = "UNCERTAIN"
    """It may have been carried out; only looking will tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PutAnswer:
    """The one answer to the one sending of a PUT; ``status`` is ``None`` if none came."""

    result: PutResult
    status: int | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What went over the wire so far: requests, bytes of answers, connections opened by host:port."""

    requests: int
    bytes: int
    connections: Mapping[str, int]


Objection = Callable[[], str | None]
"""Asked on the open connection of a PUT, right before it is sent; a text keeps it from being sent."""


class _Withdrawn(Exception):  # noqa: N818 - what it is, like the errors of this package
    pass


class Gate:
    """Lets few requests at a time through to one application, so that a slow one holds few workers."""

    __slots__ = ("__weakref__", "_free", "application_id")

    def __init__(self, application_id: str, limit: int = _PER_APPLICATION) -> None:
        self.application_id = application_id
        self._free = threading.BoundedSemaphore(limit)

    def enter(self, timeout_s: float) -> bool:
        """Wait for a place, no longer than one request may take; false if none came free."""
        return self._free.acquire(timeout=timeout_s)

    def leave(self) -> None:
        self._free.release()


class Reply(NamedTuple):
    """A complete answer, not yet judged."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_json(self) -> bool:
        return self.headers.get("Content-Type", "").lower().startswith("application/json")


class JsonHttp(Protocol):
    """What the adapters need of HTTP; see ``HttpClient`` for what each does."""

    def gate(self, application_id: str) -> Gate: ...
    def get_json(self, url: str, gate: Gate | None = None, timeout_s: float | None = None) -> Any: ...
    def date(self, url: str, timeout_s: float | None = None) -> int | None: ...
    def put_json(
        self,
        url: str,
        body: object,
        gate: Gate | None = None,
        timeout_s: float | None = None,
        objection: Objection = lambda: None,
    ) -> PutAnswer: ...


class HttpClient:
    """Reads and writes JSON with hard limits; safe to use from as many threads as ``workers``.

    ``timeout_s`` covers one whole answer, from the request to the last byte of the body; connecting has its
    own limit of at most 3 s. ``verify`` and ``cert`` are those of ``requests``. ``progressed`` is called after each
    exchange, however it ended. ``spnego`` says who we are to servers that ask.
    """

    def __init__(
        self,
        *,
        workers: int,
        timeout_s: float = 10.0,
        max_body_bytes: int = _MAX_BODY_BYTES,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        user_agent: str = "flink-yarn-autoscaler",
        sleep: Callable[[float], None] = _sleep,
        progressed: Callable[[], None] = lambda: None,
        spnego: Spnego | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self._max_body_bytes = max_body_bytes
        self._verify = verify
        self._cert = cert
        self._sleep = sleep
        self._progressed = progressed
        self._spnego = spnego
        # Compressing small answers costs both sides more than it saves on a local network.
        common = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"}
        self._get_headers = CaseInsensitiveDict(common)
        self._put_headers = common | {"Content-Type": "application/json", "Connection": "close"}
        self._lock = threading.Lock()
        self._requests = 0
        self._bytes = 0
        self._opened: Counter[str] = Counter()
        self._gates: WeakValueDictionary[str, Gate] = WeakValueDictionary()
        self._adapter = Adapter(pool_size=workers, opened=self._count_connection)

    def close(self) -> None:
        """Close every idle connection."""
        self._adapter.close()

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def gate(self, application_id: str) -> Gate:
        """The one gate of an application, shared by all who hold it."""
        with self._lock:
            gate = self._gates.get(application_id)
            if gate is None:
                gate = self._gates[application_id] = Gate(application_id)
            return gate

    def traffic(self) -> Traffic:
        with self._lock:
            return Traffic(requests=self._requests, bytes=self._bytes, connections=dict(self._opened))

    def get_json(self, url: str, gate: Gate | None = None, timeout_s: float | None = None) -> Any:
        """Return the JSON a GET answers with, or raise one of ``errors``.

        Repeated at most twice, and only if a kept-alive connection turned out dead or the answer was 503.
        """
        timeout = timeout_s or self.timeout_s
        if gate is None:
            return self._read(url, timeout)
        if not gate.enter(timeout):
            message = f"{_where('GET', url)}: not sent, earlier requests to it did not end in {timeout:g} s"
            raise Transient("busy", message)
        try:
            return self._read(url, timeout)
        finally:
            gate.leave()

    def date(self, url: str, timeout_s: float | None = None) -> int | None:
        """When the other side says it answered a GET, in epoch milliseconds to a second; ``None`` if it does not say.

        Raises Transient if no answer came.
        """
        reply = self._proven(self._adapter, Request("GET", url, self._get_headers), timeout_s or self.timeout_s)
        said = reply.headers.get("Date", "")[: len("Sun, 06 Nov 1994 08:49:37 GMT")]  # Hadoop sends it twice
        try:
            return round(parsedate_to_datetime(said).timestamp() * 1000)
        except ValueError:
            return None

    def put_json(
        self,
        url: str,
        body: object,
        gate: Gate | None = None,
        timeout_s: float | None = None,
        objection: Objection = lambda: None,
    ) -> PutAnswer:
        """Send a PUT exactly once, on a connection of its own, and say what is known of it."""
        timeout = timeout_s or self.timeout_s
        if gate is None:
            return self._write(url, body, timeout, objection)
        if not gate.enter(timeout):
            message = f"{_where('PUT', url)}: not sent, earlier requests to it did not end in {timeout:g} s"
            return PutAnswer(result=PutResult.NOT_SENT, status=None, message=message)
        try:
            return self._write(url, body, timeout, objection)
        finally:
            gate.leave()

    def _read(self, url: str, timeout: float) -> Any:
        deadline = monotonic() + timeout
        try:
            return self._read_once(url, timeout)
        except Transient as error:
            if not error.again:
                raise
        again = Retrying(
            stop=stop_after_attempt(_RETRIES),
            wait=wait_fixed(_RETRY_WAIT_S),
            retry=retry_if_exception(lambda error: isinstance(error, Transient) and error.again),
            sleep=self._sleep,
            reraise=True,
        )
        # What is left of the time is shared: a server that hangs up late must not be waited for three times.
        return again(lambda: self._read_once(url, max(deadline - monotonic(), _LEAST_S)))

    def _read_once(self, url: str, timeout: float) -> Any:
        reply = self._proven(self._adapter, Request("GET", url, self._get_headers), timeout)
        if reply.status == 200 and reply.body and reply.is_json:
            return _parsed("GET", url, reply)
        raise failure("GET", url, reply)

    def _write(self, url: str, body: object, timeout: float, objection: Objection) -> PutAnswer:
        # The proxy re-encodes a body as ISO-8859-1, line by line: one line of ASCII comes out as it went in.
        text = json.dumps(body, separators=(",", ":"), allow_nan=False).encode("ascii")
        headers = CaseInsensitiveDict(self._put_headers | {"Content-Length": str(len(text))})
        opened: list[str] = []
        # The proxy closes idle connections, and a PUT lost on one could not be told from a PUT carried out.
        # So it gets a connection of its own, which also tells whether anything can have been sent.

        def connected(origin: str) -> None:
            opened.append(origin)
            said = objection()
            if said is not None:
                raise _Withdrawn(said)

        adapter = Adapter(pool_size=1, opened=connected)
        try:
            if self._spnego is not None:  # not by a cookie, which may have run out: a PUT is sent once
                headers.update(self._spnego.token(url))
            reply = self._exchange(adapter, Request("PUT", url, headers, text), timeout)
        except Transient as error:
            result = PutResult.UNCERTAIN if opened else PutResult.NOT_SENT
            return PutAnswer(result=result, status=None, message=str(error))
        except _Withdrawn as error:
            return PutAnswer(result=PutResult.WITHDRAWN, status=None, message=str(error))
        finally:
            adapter.close()
            for origin in opened:
                self._count_connection(origin)
        return put_answer(url, reply)

    def _proven(self, adapter: Adapter, request: Request, timeout: float) -> Reply:
        """Exchange a read with the proof of who we are, once more if the server no longer accepts its own cookie."""
        spnego, url = self._spnego, request.url
        if spnego is None or url is None:
            return self._exchange(adapter, request, timeout)
        plain = request.headers
        request.headers = CaseInsensitiveDict({**plain, **spnego.headers(url)})
        reply = self._exchange(adapter, request, timeout)
        if reply.status == 401 and spnego.forget(url):
            request.headers = CaseInsensitiveDict({**plain, **spnego.headers(url)})
            reply = self._exchange(adapter, request, timeout)
        spnego.learn(url, reply.headers)
        return reply

    def _exchange(self, adapter: Adapter, request: Request, timeout: float) -> Reply:
        limits = (min(_MAX_CONNECT_S, timeout), timeout)
        body = b""
        try:
            raw = adapter.send(request, stream=True, timeout=limits, verify=self._verify, cert=self._cert).raw
            try:
                body = self._body(request, raw)
            except BaseException:
                raw.close()  # the rest of the answer is still on this connection
                raise
            finally:
                raw.release_conn()
        except (failed.RequestException, wire.HTTPError, HTTPException, OSError, ValueError) as error:
            raise _lost(request, error, timeout) from error
        finally:
            with self._lock:
                self._requests += 1
                self._bytes += len(body)
            self._progressed()
        return Reply(raw.status, raw.headers, body)

    def _body(self, request: Request, raw: Any) -> bytes:
        length: int | None = raw.length_remaining
        if length is None or "Content-Encoding" in raw.headers:
            length = self._max_body_bytes + 1
            body: bytes = raw.read(length, decode_content=True)
            length = len(body)
        elif length <= self._max_body_bytes:
            return raw.read()  # type: ignore[no-any-return]
        if length > self._max_body_bytes:
            where = _where(request.method, request.url)
            raise Transient("too-large", f"{where}: answer of more than {self._max_body_bytes} bytes")
        return body

    def _count_connection(self, origin: str) -> None:
        with self._lock:
            self._opened[origin] += 1


def failure(method: str, url: str, reply: Reply) -> ClusterError:
    """Judge an answer that is not 200 with JSON in it."""
    where = f"{_where(method, url)}: expected JSON, got {reply.status}"
    if reply.status in (401, 403):
        scheme = reply.headers.get("WWW-Authenticate", "no challenge")
        return Unauthorized(reply.status, f"{where} ({scheme}); on a secured cluster set kerberos.keytab")
    if 300 <= reply.status < 400:
        location = reply.headers.get("Location") or reply.headers.get("Refresh", "nowhere")
        return Transient("redirect", f"{where} to {location}: {_start(reply.body)}")
    if not reply.body:
        return Transient("empty", f"{where} with an empty body", again=reply.status == 503)
    if not reply.is_json:
        return _not_json(where, reply)
    try:
        document = _parsed(method, url, reply)
    except Transient as error:
        if reply.status < 400:
            return error
        document = {"errors": [reply.body.decode("utf-8", "replace")]}  # a torn complaint is still one
    return _complaint(f"{_where(method, url)}: {reply.status}", reply.status, document)


def put_answer(url: str, reply: Reply) -> PutAnswer:
    """Judge the answer to a PUT."""
    if reply.status == 200 and reply.is_json and reply.body:
        return PutAnswer(result=PutResult.ACCEPTED, status=200, message="")
    error = failure("PUT", url, reply)
    if isinstance(error, Unauthorized) or reply.status in _NOT_OF_FLINK:
        result = PutResult.NOT_SENT
    elif isinstance(error, Rejected | Gone):
        result = PutResult.REJECTED
    elif isinstance(error, Transient) and (error.kind in ("redirect", "warning-page") or 400 <= reply.status < 500):
        # Only the proxy says these, and it says them instead of passing the request on.
        result = PutResult.NOT_SENT
    else:
        result = PutResult.UNCERTAIN
    return PutAnswer(result=result, status=reply.status, message=str(error))


def _complaint(where: str, status: int, document: object) -> ClusterError:
    """Judge a JSON answer that is an error, Flink's or the ResourceManager's.

    Flink says 500 to a job it does not know and where the scheduler cannot rescale: the text counts, not the status.
    """
    text, full = _error_text(document)
    message = f"{where}: {text}"
    if "FlinkJobNotFoundException" in full or (status == 404 and "NotFoundException" in full):
        return Gone(message)
    if status == 503:
        return Transient("unavailable", message, again=True)
    if status >= 500:
        if "does not support changing the parallelism" in full or "running in reactive mode" in full:
            return Rejected(status, message)
        return Transient("server-error", message)
    if status >= 400:
        return Rejected(status, message)
    return Transient("unexpected", message)


def _error_text(document: object) -> tuple[str, str]:
    """Return the part of an error body a person wants to read, and all of it."""
    if not isinstance(document, dict):
        return _cut(json.dumps(document)), ""
    remote = document.get("RemoteException")
    if isinstance(remote, dict):
        text = str(remote.get("message"))
        return _cut(text), f"{remote.get('exception')} {text}"
    errors = document.get("errors")
    if not isinstance(errors, list):
        return _cut(json.dumps(document)), ""
    full = [str(error) for error in errors]
    said = [_spoken(error) for error in full]
    told = [text for text in said if text and text != "Internal server error."]
    return _cut("; ".join(told or said)), "\n".join(full)


def _spoken(error: str) -> str:
    """Take the message off a Java stack trace: all lines before the first frame, without the wrapping."""
    head = re.split(r"\n?\s+at ", error.removeprefix("<Exception on server side:"), maxsplit=1)[0]
    text = _PACKAGE.sub("", head.strip()).removeprefix("RestHandlerException: ")
    return "; ".join(line.strip() for line in text.splitlines())


def _not_json(where: str, reply: Reply) -> Transient:
    start = _start(reply.body)
    kind = "not-json"
    if "html" in reply.headers.get("Content-Type", "").lower() or start.lower().startswith(("<html", "<!doctype")):
        kind = "html"
        if b"may not be safe" in reply.body:
            # A secured proxy asks a person to confirm before it shows another user's application.
            kind = "warning-page"
        start = _start(re.sub(rb"<style.*?</style>|<[^>]*>|<!--.*?-->", b" ", reply.body[:8192], flags=re.DOTALL))
    content_type = reply.headers.get("Content-Type", "no content type")
    return Transient(kind, f"{where}, {content_type}: {start}", again=reply.status == 503)


def _lost(request: Request, error: Exception, timeout: float) -> Transient:
    """Say why no complete answer came."""
    where = _where(request.method, request.url)
    if isinstance(error, failed.ConnectTimeout):
        return Transient("timeout", f"{where}: no connection within {min(_MAX_CONNECT_S, timeout):g} s")
    if isinstance(error, failed.Timeout | wire.TimeoutError | TimeoutError):
        return Transient("timeout", f"{where}: no complete answer within {timeout:.3g} s")
    if isinstance(error, failed.SSLError | wire.SSLError):
        return Transient("tls", f"{where}: TLS failed: {error}")
    if isinstance(error, ValueError):  # both libraries' errors about addresses are
        return Transient("bad-url", f"{where}: {error}")
    causes = _causes(error)
    if any(isinstance(cause, wire.NameResolutionError) for cause in causes):
        return Transient("unresolved", f"{where}: host name not known")
    if any(isinstance(cause, wire.NewConnectionError) for cause in causes):
        return Transient("refused", f"{where}: no connection: {_cut(str(causes[-1]))}")
    stale = any(isinstance(cause, StaleConnection) for cause in causes)
    return Transient(
        "connection-lost",
        f"{where}: connection lost before the answer ended: {_cut(str(causes[-1]))}",
        again=stale,
    )


def _causes(error: BaseException) -> list[BaseException]:
    """List an error and what it was wrapped around, outermost first: both libraries wrap by argument."""
    found = [error]
    for wrapped in found:
        inner = [getattr(wrapped, "reason", None), *wrapped.args]
        found += [cause for cause in inner if isinstance(cause, BaseException) and cause not in found]
    return found


def _parsed(method: str, url: str, reply: Reply) -> Any:
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        where = f"{_where(method, url)}: expected JSON, got {reply.status}"
        raise Transient("not-json", f"{where} that does not parse ({error}): {_start(reply.body)}") from error


def _where(method: str | None, url: str | None) -> str:
    """Name a request by method, host and path."""
    path = (url or "").partition("://")[2].partition("?")[0]
    return f"{method} {path}"


def _start(body: bytes) -> str:
    return _cut(body[: 8 * _MAX_TEXT].decode("utf-8", "replace"))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TEXT else line[: _MAX_TEXT - 1] + "…"
