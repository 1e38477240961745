"""What can go wrong between us and the cluster, in the few kinds the rest of the program tells apart.

Every message says where (method, host and path), what came, and what was expected, so that a log line needs
nothing beside it.
"""

from __future__ import annotations


class ClusterError(Exception):
    """Base of everything this package raises."""


class Transient(ClusterError):  # noqa: N818 - it says what to do, not that it is an error
    """Nothing can be said now; skip this pass and back off.

    ``kind`` is a short stable word for metrics and tests: timeout, busy, refused, unresolved,
    connection-lost, tls, bad-url, html, warning-page, redirect, empty, not-json, unexpected, too-large,
    unavailable, server-error, no-active-rm, standby (every ResourceManager said it is one). ``again`` is true where the
    same read may succeed at once.
    """

    def __init__(self, kind: str, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.again = again


class Gone(ClusterError):  # noqa: N818 - as above
    """The other side is well and does not know this job, vertex or application."""


class Rejected(ClusterError):  # noqa: N818 - as above
    """The other side understood and said no; the same request will fail until something changes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Unauthorized(Rejected):
    """The other side wants to know who we are (401, 403)."""
