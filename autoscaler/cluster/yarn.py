"""What the YARN ResourceManager tells of the applications it runs.

Its REST answers lack fields for several reasons (no right to see them, an older release, an application that
has not started), so everything but the id is optional here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from sys import intern
from typing import Any, Final
from urllib.parse import quote

from autoscaler.cluster.errors import ClusterError, Gone, Rejected, Transient, Unauthorized
from autoscaler.cluster.http import JsonHttp
from autoscaler.cluster.resources import Node, YarnScheduler, parse_nodes, parse_scheduler
from autoscaler.model import Millis

_INFO: Final = "/ws/v1/cluster/info"
_APPS: Final = "/ws/v1/cluster/apps"
_NODES: Final = "/ws/v1/cluster/nodes"
_SCHEDULER: Final = "/ws/v1/cluster/scheduler"
# Parts of an application's record that are large and say nothing we use; a release that does not know one of
# these words answers 400.
_DESELECTS: Final = "resourceRequests,timeouts,appNodeLabelExpression,amNodeLabelExpression,resourceInfo"
# container_e17_1410901177871_0001_02_000001: cluster epoch (only after a restart of the ResourceManager that
# kept its applications), cluster start, application, attempt, container.
_CONTAINER: Final = re.compile(r"container_(?:e\d+_)?\d+_\d+_(\d+)_\d+")
_TERMINAL: Final = frozenset({"FINISHED", "FAILED", "KILLED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One YARN application as last reported.

    ``tracking_url`` is ``None`` unless an ApplicationMaster has registered; its address goes through the web
    proxy and stays the same over attempts. ``am_address`` is host:port of Flink's REST server behind that
    proxy and changes with each attempt. ``attempt`` counts from 1.
    """

    id: str
    name: str = ""
    user: str = ""
    queue: str = ""
    state: str = ""
    final_status: str = ""
    tags: tuple[str, ...] = ()
    tracking_url: str | None = None
    running_containers: int | None = None
    allocated_mb: int | None = None
    am_address: str | None = None
    started_at: Millis | None = None
    attempt: int | None = None
    diagnostics: str = ""

    @property
    def is_terminal(self) -> bool:
        return self.state in _TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationFilter:
    """Which applications are of interest; an empty field lets all through, several values mean any of them.

    A queue is given by its path or its last part, a name by a pattern with ``*`` and ``?``. Tags are compared
    without case, because YARN stores them in lower case.
    """

    application_type: str = "Apache Flink"
    queues: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def admits(self, application: Application) -> bool:
        if self.queues and not any(_same_queue(queue, application.queue) for queue in self.queues):
            return False
        if self.users and application.user not in self.users:
            return False
        if self.names and not any(fnmatchcase(application.name, pattern) for pattern in self.names):
            return False
        mine = {tag.lower() for tag in application.tags}
        return not self.tags or any(tag.lower() in mine for tag in self.tags)


class ResourceManagers:
    """The ResourceManagers of one cluster, of which one is active; ``addresses`` are like
    ``http://host:8088``.

    The active one is remembered and asked first. When it does not answer as an active one does, all are asked who is.
    Redirects of a standby are not followed: they name the active one by the host name it knows itself by.
    """

    def __init__(self, http: JsonHttp, addresses: Sequence[str], timeout_s: float | None = None) -> None:
        if not addresses:
            raise ValueError("at least one ResourceManager address is needed")
        self.addresses = tuple(_base(address) for address in addresses)
        self._http = http
        self._timeout_s = timeout_s
        self._active: str | None = None
        self._deselects = True

    @property
    def active(self) -> str | None:
        """The address last known to be active."""
        return self._active

    def ha_state(self, address: str, timeout_s: float | None = None) -> str:
        """Ask one ResourceManager for its part, ACTIVE or STANDBY; one that names none is ACTIVE."""
        document = self._http.get_json(_base(address) + _INFO, timeout_s=timeout_s or self._timeout_s)
        info = document.get("clusterInfo") if isinstance(document, dict) else None
        if not isinstance(info, dict):
            raise Transient("unexpected", f"GET {address}{_INFO}: expected clusterInfo, got {document!r:.100}")
        return str(info.get("haState") or "ACTIVE")

    def date(self, address: str) -> Millis | None:
        """What time one ResourceManager has, to a second; ``None`` if it does not say."""
        return self._http.date(_base(address) + _INFO, timeout_s=self._timeout_s)

    def applications(self, wanted: ApplicationFilter | None = None) -> tuple[Application, ...]:
        """List the running applications of a type, with one request."""
        wanted = wanted or ApplicationFilter()
        query = f"?states=RUNNING&applicationTypes={quote(wanted.application_type, safe='')}"
        listed = parse_applications(self._list(query))
        # A federation's router may list one that its sub-cluster has ended meanwhile.
        return tuple(each for each in listed if wanted.admits(each) and not each.is_terminal)

    def application(self, application_id: str) -> Application | None:
        """Look one application up, in whatever state; ``None`` if it is not known (any more)."""
        try:
            document = self._ask(f"{_APPS}/{quote(application_id, safe='')}")
        except Gone:
            return None
        return parse_application(document.get("app", document))

    def nodes(self, *states: str) -> tuple[Node, ...]:
        """List the nodes in these states, or all that have not ended."""
        return parse_nodes(self._ask(_NODES + (f"?states={','.join(states)}" if states else "")))

    def scheduler(self) -> YarnScheduler:
        """Read the queues with their limits."""
        document = self._ask(_SCHEDULER)
        try:
            return parse_scheduler(document)
        except (KeyError, TypeError, AttributeError) as error:
            text = f"GET {_SCHEDULER}: expected schedulerInfo ({error!r}), got {document!r:.100}"
            raise Transient("unexpected", text) from error

    def _list(self, query: str) -> Any:
        if self._deselects:
            try:
                return self._ask(f"{_APPS}{query}&deSelects={_DESELECTS}")
            except Rejected as error:
                if error.status != 400:
                    raise
                self._deselects = False
        return self._ask(_APPS + query)

    def _ask(self, path: str) -> Any:
        """Return an active ResourceManager's answer, an object."""
        active = self._active
        if active is not None:
            try:
                return self._get(active + path)
            except (Transient, Unauthorized):  # another one may answer, and if none does, each is named with its reason
                self._active = None
        self._active = self._find_active()
        return self._get(self._active + path)

    def _get(self, url: str) -> Any:
        document = self._http.get_json(url, timeout_s=self._timeout_s)
        if not isinstance(document, dict):
            raise Transient("unexpected", f"GET {url}: expected an object, got {document!r:.100}")
        return document

    def _find_active(self) -> str:
        said, kind = [], "standby"
        for address in self.addresses:
            try:
                state = self.ha_state(address)
            except ClusterError as error:
                said.append(str(error))
                kind = "no-active-rm"
                continue
            if state == "ACTIVE":
                return address
            said.append(f"{address} is {state}")
        raise Transient(kind, "no active ResourceManager: " + "; ".join(said))


def parse_applications(document: Mapping[str, Any]) -> tuple[Application, ...]:
    """Read a list of applications; none at all is ``{"apps": null}`` or ``{"apps": {}}``, by release."""
    apps = document.get("apps") or {}
    listed = apps.get("app") or [] if isinstance(apps, dict) else []
    if isinstance(listed, dict):  # a list of one, where XML was turned into JSON
        listed = [listed]
    return tuple(parse_application(app) for app in listed if isinstance(app, dict) and app.get("id"))


def parse_application(app: Mapping[str, Any]) -> Application:
    """Read one application's record."""
    state = _text(app, "state")
    return Application(
        id=intern(_text(app, "id")),
        name=intern(_text(app, "name")),
        user=intern(_text(app, "user")),
        queue=intern(_text(app, "queue")),
        state=intern(state),
        final_status=intern(_text(app, "finalStatus")),
        tags=tuple(tag.strip() for tag in _text(app, "applicationTags").split(",") if tag.strip()),
        tracking_url=_tracking_url(app),
        running_containers=_count(app, "runningContainers"),
        allocated_mb=_count(app, "allocatedMB"),
        am_address=_text(app, "amRPCAddress") or None,
        started_at=_count(app, "startedTime") or None,
        attempt=_attempt(app),
        diagnostics=_text(app, "diagnostics").partition("\n")[0][:300] if state in _TERMINAL else "",
    )


def _tracking_url(app: Mapping[str, Any]) -> str | None:
    """Take the proxy's address of a live ApplicationMaster; an ended one's leads to a page for people."""
    url = _text(app, "trackingUrl")
    of_master = _text(app, "trackingUI") in ("ApplicationMaster", "") and app.get("state") not in _TERMINAL
    return url if of_master and url.startswith(("http://", "https://")) else None


def _attempt(app: Mapping[str, Any]) -> int | None:
    """Read the attempt's number off the link to its logs, the only place of the record that holds it."""
    found = _CONTAINER.search(_text(app, "amContainerLogs"))
    return int(found.group(1)) if found else None


def _text(app: Mapping[str, Any], key: str) -> str:
    value = app.get(key)
    return value if isinstance(value, str) else ""


def _count(app: Mapping[str, Any], key: str) -> int | None:
    """Read a number that is -1 where the ResourceManager has none."""
    value = app.get(key)
    return value if isinstance(value, int) and value >= 0 else None


def _same_queue(wanted: str, queue: str) -> bool:
    """Compare queues of which either may be a full path or, from older releases, only its last part."""
    return wanted == queue or queue.endswith("." + wanted) or wanted.endswith("." + queue)


def _base(address: str) -> str:
    address = address.rstrip("/")
    return address if "://" in address else "http://" + address
