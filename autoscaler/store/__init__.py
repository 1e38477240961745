"""The autoscaler's memory: samples, decisions, requests, outcomes; in SQLite or on a database server.

>>> opened = open_store("sqlite://", max_size_bytes=1 << 30, now=0)
>>> opened.store.statuses()
()

``Store`` takes and gives values of ``autoscaler.model``. Two kinds of failure reach the caller:
``StoreError``, which says what somebody has to do, and its special case ``StoreUnavailable``, without which
the caller goes on.
"""

from autoscaler.store.engine import check_usable, file_of, is_shared, is_there, shown_url
from autoscaler.store.errors import StoreError, StoreUnavailable
from autoscaler.store.opening import Opened, open_existing, open_store, open_to_command
from autoscaler.store.recovering import RecoveringStore
from autoscaler.store.retention import KEEP_DECISIONS, KEEP_SAMPLES, Retained
from autoscaler.store.store import Recorded, Store
from autoscaler.store.writer import Writer

__all__ = [
    "KEEP_DECISIONS",
    "KEEP_SAMPLES",
    "Opened",
    "Recorded",
    "RecoveringStore",
    "Retained",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Writer",
    "check_usable",
    "file_of",
    "is_shared",
    "is_there",
    "open_existing",
    "open_store",
    "open_to_command",
    "shown_url",
]
