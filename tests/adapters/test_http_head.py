"""The head of an answer is read as http.client reads it."""

from __future__ import annotations

import http.client
import socket

import pytest

from autoscaler.cluster.transport import _TimedResponse

HEADS = {
    "kept open": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n",
    "to be closed": "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: Close\r\n",
    "until the end": "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n",
    "in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 5\r\n",
    "of an old server": "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n",
    "of an old server, kept": "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n",
    "nothing to say": "HTTP/1.1 204 No Content\r\n",
    "not modified": "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n",
    "without a reason": "HTTP/1.1 404\r\nContent-Length: 0\r\n",
    "an odd length": "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n",
    "twice the same header": "HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\nContent-Length: 5\r\n",
    "spaces": "HTTP/1.1 200  OK \r\nContent-Type:   application/json \r\nContent-Length:5\r\n",
    "lines ended by LF": "HTTP/1.1 200 OK\nContent-Length: 5\n",
    "to go on": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
}
BROKEN = {
    "nothing": "",
    "no HTTP": "SSH-2.0-OpenSSH_9.6\r\n",
    "no status": "HTTP/1.1 fine\r\n",
    "another protocol": "HTTP/3 200 OK\r\n",
    "headers without end": "HTTP/1.1 200 OK\r\n" + "a: b\r\n" * 101,
}


def read(kind: type[http.client.HTTPResponse], head: str) -> http.client.HTTPResponse:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(head.encode("latin-1"))
        theirs.shutdown(socket.SHUT_WR)
        response = kind(ours)
        try:
            response.begin()
        finally:
            response.close()
        return response


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_as_http_client_reads_it(head: str) -> None:
    """Status, headers, length, and whether the connection may be used again."""
    ours, theirs = (read(kind, head + "\r\n") for kind in (_TimedResponse, http.client.HTTPResponse))
    for name in ("version", "status", "reason", "chunked", "length", "will_close"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.getheaders() == [(name, value.strip()) for name, value in theirs.getheaders()]


@pytest.mark.parametrize("head", BROKEN.values(), ids=BROKEN)
def test_what_is_no_answer_is_refused(head: str) -> None:
    """With an error of http.client, which the client turns into one of ours."""
    for kind in (_TimedResponse, http.client.HTTPResponse):
        with pytest.raises(http.client.HTTPException):
            read(kind, head)
