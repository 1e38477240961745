"""What stands between a daemon and PostgreSQL, so that a test can stop the world when a transaction has ended."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

SOCKET = ".s.PGSQL.5432"
COMMIT = b"COMMIT"
CHUNK = 1 << 16


class Relay:
    """Passes the bytes of each connection on, to the server's socket in one folder from a socket in another."""

    def __init__(self, server: Path, folder: Path) -> None:
        self._server = server
        self._awaited: tuple[bytes, Callable[[], None]] | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen()
        self._thread = threading.Thread(target=self._accept, name="relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def after_the_next_commit(self, act: Callable[[], None], of: bytes = b"") -> None:
        """Act when the server has answered the next COMMIT of a transaction in which ``of`` was said, and give its
        answer when that is done."""
        self._awaited = of, act

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), name="relay", daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        """Pass bytes on in both directions until one end hangs up."""
        due: Callable[[], None] | None = None
        said = b""
        with client, socket.socket(socket.AF_UNIX) as server, contextlib.suppress(OSError):
            server.connect(str(self._server))
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(CHUNK)
                    if not data:
                        return
                    if end is client:
                        said += data
                        if COMMIT in data:
                            if self._awaited is not None and self._awaited[0] in said:
                                (_, due), self._awaited = self._awaited, None
                            said = b""
                        server.sendall(data)
                        continue
                    if due is not None:
                        due()
                        due = None
                    client.sendall(data)
