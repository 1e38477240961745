"""Where a small file can be kept that outlives this machine: HDFS, by WebHDFS, or S3, by the ``aws`` command.

A copy appears whole or not at all: HDFS gets it under another name and renames it, S3 does so by itself.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol
from urllib.parse import quote, urlencode, urlsplit

import requests

from autoscaler.cluster.errors import ClusterError, Transient
from autoscaler.cluster.spnego import Spnego

_PORTS: Final = {"webhdfs": 9870, "swebhdfs": 9871}
_USER: Final = "autoscaler"
_CONNECT_S: Final = 3.0
_LEAST_S: Final = 0.01
_MAX_TEXT: Final = 300
_QUERY: Final = re.compile(r"\?\S+")
_CONTENT: Final = {"Content-Type": "application/octet-stream"}


class DepotError(ClusterError):
    """The copy could not be written, or it is not known whether there is one. The message says where and why."""


class Depot(Protocol):
    """One file elsewhere. Both calls take no longer than ``timeout_s`` and raise ``DepotError``."""

    def read(self, timeout_s: float) -> bytes | None:
        """Return its content, ``None`` if there is no such file."""
        ...

    def write(self, content: bytes, timeout_s: float) -> None: ...


def depot_at(address: str, *, verify: bool | str = True, aws: str = "aws", spnego: Spnego | None = None) -> Depot:
    """Return what is at ``s3://bucket/key`` or ``webhdfs://[user@]namenode[:port][,namenode...]/path``.

    ``swebhdfs`` is the same over TLS, ``verify`` as ``requests`` has it, ``aws`` the command or its path. HDFS is shown
    by ``spnego`` who we are, whatever user the address names. The settings admit no other addresses.
    """
    parts = urlsplit(address)
    if parts.scheme == "s3":
        return S3(address=address, aws=aws)
    user, _, hosts = parts.netloc.rpartition("@")
    scheme, port = ("http" if parts.scheme == "webhdfs" else "https"), _PORTS[parts.scheme]
    nodes = tuple(f"{scheme}://{host if ':' in host else f'{host}:{port}'}" for host in hosts.split(",") if host)
    return WebHdfs(name_nodes=nodes, path=parts.path, user=user or _USER, verify=verify, spnego=spnego)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebHdfs:
    """A file on HDFS. Of several NameNodes the active one is found.

    Where HDFS asks for no proof, ``user`` is who it takes us for. With ``spnego`` each NameNode gets a proof; the
    DataNode it sends to gets none, but the delegation token that the NameNode puts into the address.

    https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html
    """

    name_nodes: tuple[str, ...]
    path: str
    user: str
    verify: bool | str = True
    spnego: Spnego | None = None

    def read(self, timeout_s: float) -> bytes | None:
        until = monotonic() + timeout_s
        found = self._asked("GET", self.path, {"op": "OPEN"}, until)
        if found.status_code == 404 and "FileNotFoundException" in found.text:
            return None
        return self._followed("GET", found, None, until).content

    def write(self, content: bytes, timeout_s: float) -> None:
        until, new = monotonic() + timeout_s, f"{self.path}.new"
        begun = self._asked("PUT", new, {"op": "CREATE", "overwrite": "true"}, until)
        self._followed("PUT", begun, content, until)
        renaming = {"op": "RENAME", "destination": self.path, "renameoptions": "OVERWRITE"}
        self._checked(self._asked("PUT", new, renaming, until))

    def _asked(self, method: str, path: str, query: Mapping[str, str], until: float) -> requests.Response:
        """The answer of the NameNode that is active; without one each is named with what it said."""
        said = []
        # a secured NameNode refuses a name that is not that of the proof
        known = query if self.spnego is not None else {**query, "user.name": self.user}
        for node in self.name_nodes:
            try:
                url = f"{node}/webhdfs/v1{quote(path)}"
                answer = self._sent(method, f"{url}?{urlencode(known)}", self._proof(url), None, until)
            except DepotError as error:
                said.append(str(error))
                continue
            if answer.status_code != 403 or "StandbyException" not in answer.text:
                return answer
            said.append(f"{node} is a standby")
        raise DepotError("; ".join(said))

    def _proof(self, url: str) -> Mapping[str, str]:
        if self.spnego is None:
            return {}
        try:
            return self.spnego.token(url)
        except Transient as error:
            raise DepotError(f"{url}: {error}") from error

    def _followed(
        self, method: str, answer: requests.Response, content: bytes | None, until: float
    ) -> requests.Response:
        """What the DataNode answers that a NameNode sends to; content goes nowhere else."""
        where = answer.headers.get("Location")
        if answer.status_code != 307 or where is None:
            self._checked(answer)
            raise DepotError(f"{_where(answer)}: expected 307 with a DataNode, got {answer.status_code}")
        if urlsplit(str(answer.request.url)).scheme == "https" and urlsplit(where).scheme != "https":
            raise DepotError(f"{_where(answer)}: sent on without TLS, to {_bare(where)}; see dfs.http.policy of HDFS")
        return self._checked(self._sent(method, where, {} if content is None else _CONTENT, content, until))

    def _sent(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, until: float
    ) -> requests.Response:
        left = max(until - monotonic(), _LEAST_S)
        with requests.Session() as session:
            session.trust_env = False
            try:
                return session.request(
                    method,
                    url,
                    data=content,
                    headers=headers,
                    timeout=(min(_CONNECT_S, left), left),
                    allow_redirects=False,
                    verify=self.verify,
                )
            except requests.RequestException as error:
                # what the library says holds the address, and in its query may be a token
                raise DepotError(f"{method} {_bare(url)}: {_QUERY.sub('', str(error))}") from error

    def _checked(self, answer: requests.Response) -> requests.Response:
        if answer.status_code == 401:
            asked = answer.headers.get("WWW-Authenticate", "no challenge")
            advice = "set kerberos.keytab" if self.spnego is None else "is kerberos.principal known there?"
            raise DepotError(f"{_where(answer)}: got 401 ({asked}); on a secured cluster {advice}")
        if not answer.ok:
            raise DepotError(f"{_where(answer)}: got {answer.status_code}: {answer.text[:_MAX_TEXT]}")
        return answer


def _where(answer: requests.Response) -> str:
    return f"{answer.request.method} {_bare(str(answer.request.url))}"


def _bare(url: str) -> str:
    return url.partition("?")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class S3:
    """An object on S3, with the credentials the command finds: on EMR those of the instance profile."""

    address: str
    aws: str = "aws"

    def read(self, timeout_s: float) -> bytes | None:
        done = self._run(self.address, "-", b"", timeout_s)
        if done.returncode != 0 and b"(404)" in done.stderr:
            return None
        return self._checked(done)

    def write(self, content: bytes, timeout_s: float) -> None:
        self._checked(self._run("-", self.address, content, timeout_s))

    def _run(self, source: str, target: str, content: bytes, timeout_s: float) -> subprocess.CompletedProcess[bytes]:
        command = [self.aws, "s3", "cp", "--only-show-errors", source, target]
        try:
            return subprocess.run(  # noqa: S603 - a fixed command; the address comes from the settings
                command, input=content, capture_output=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise DepotError(f"{' '.join(command)}: not done within {timeout_s:g} s") from error
        except OSError as error:
            raise DepotError(f"{' '.join(command)}: {error}; install the AWS CLI, or give it in PATH") from error

    def _checked(self, done: subprocess.CompletedProcess[bytes]) -> bytes:
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip()[:_MAX_TEXT]
            raise DepotError(f"{' '.join(done.args)}: status {done.returncode}: {said}")
        return done.stdout
