"""The store's copy elsewhere: when it is written and by whom, and how a daemon begins from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from autoscaler.cluster import DepotError
from autoscaler.keeper import PATIENCE, Keeper
from autoscaler.model import Reason, RequestState
from autoscaler.store import Store, open_existing, open_store
from autoscaler.telemetry import Journal
from tests.adapters.kdc import Realm
from tests.adapters.stub import Stub
from tests.adapters.test_depot import AWS, FILE, SecuredHdfs
from tests.service.cluster import KEY, Daemon, StubCluster, remember, settings_file, until
from tests.store.builders import ROOMY, T0, a_command


@dataclass
class Shelf:
    """A depot in memory, which fails while ``trouble`` says so."""

    content: bytes | None = None
    trouble: str | None = None
    written: list[float] = field(default_factory=list)

    def read(self, timeout_s: float) -> bytes | None:
        if self.trouble is not None:
            raise DepotError(self.trouble)
        return self.content

    def write(self, content: bytes, timeout_s: float) -> None:
        if self.trouble is not None:
            raise DepotError(self.trouble)
        self.content = content
        self.written.append(timeout_s)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", ROOMY, T0).store) as opened:
        yield opened


def keeper(shelf: Shelf, store: Store, *, acts: bool = True) -> Keeper:
    return Keeper(shelf, "s3://bucket/copy", store, Journal(), lambda: acts, T0)


def a_copy() -> bytes:
    with closing(open_store("sqlite://", ROOMY, T0).store) as other:
        other.set_command(a_command())
        return other.essentials()


def test_an_empty_store_begins_from_the_copy(store: Store) -> None:
    """Where the local store holds nothing the copy's content is taken, and where there is no copy nothing."""
    assert keeper(Shelf(), store).has_begun(T0)
    assert store.is_empty()
    assert keeper(Shelf(content=a_copy()), store).has_begun(T0)
    assert store.commands("j-1", T0) == (a_command(),)


def test_a_store_with_content_is_never_replaced(store: Store) -> None:
    """The copy is not even asked for: what is here is newer."""
    store.set_command(a_command())
    assert keeper(Shelf(trouble="must not be asked"), store).has_begun(T0)


def test_a_copy_that_cannot_be_read_is_waited_for(store: Store) -> None:
    """HDFS comes up minutes after the service: nothing begins until it is known whether there is a copy."""
    shelf = Shelf(trouble="connection refused", content=a_copy())
    one = keeper(shelf, store)
    assert not one.has_begun(T0)
    assert not one.has_begun(T0 + PATIENCE - 1)
    shelf.trouble = None
    assert one.has_begun(T0 + PATIENCE - 1)
    assert not store.is_empty()


def test_after_its_patience_it_begins_without(store: Store) -> None:
    """A depot that never answers, or a copy that cannot be used, keeps no job from being scaled."""
    assert keeper(Shelf(trouble="connection refused"), store).has_begun(T0 + PATIENCE)
    assert keeper(Shelf(content=b"damaged"), store).has_begun(T0)
    assert store.is_empty()


def test_who_does_not_act_writes_no_copy(store: Store) -> None:
    """Of several daemons with stores of their own only the acting one's is worth a copy."""
    shelf = Shelf()
    keeper(shelf, store, acts=False).copy()
    assert shelf.content is None
    keeper(shelf, store).copy()
    assert shelf.content is not None


def test_a_failing_copy_is_said_and_harms_nothing(store: Store) -> None:
    """The last copy stays, and the next one is written when it can be."""
    shelf = Shelf(content=b"last", trouble="no space")
    one = keeper(shelf, store)
    one.copy()
    assert shelf.content == b"last"
    shelf.trouble = None
    one.part()
    assert shelf.content != b"last"
    assert shelf.written[0] <= 5, "an end waits for a PUT too, and systemd for both"


def reasons(disk: Path) -> list[Reason]:
    with closing(open_existing(f"sqlite:///{disk / 'history.db'}")) as there:
        return [status.reason for status in there.statuses()]


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_replaced_master_goes_on_with_the_record(tmp_path: Path, stub: Stub, cluster: StubCluster) -> None:
    """A daemon that ends leaves a copy; one on an empty disk begins from it and takes up the request in flight."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "aws").write_text(AWS)
    (programs / "aws").chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin"}
    disks = [tmp_path / name for name in ("first", "second")]
    for disk in disks:
        disk.mkdir()
    remember(disks[0])

    def settings(disk: Path) -> Path:
        kept = {"url": f"sqlite:///{disk / 'history.db'}", "copy_to": "s3://bucket/store.gz"}
        return settings_file(disk, stub, store=kept)

    with Daemon(settings(disks[0]), environment=environment) as daemon:
        until(lambda: bool(cluster.puts), 60)
        daemon.wait_for("requested", state="SENT")
        assert daemon.end() == 0
    with Daemon(settings(disks[1]), environment=environment) as daemon:
        daemon.wait_for("the store begins from its copy", copy="s3://bucket/store.gz")
        until(lambda: Reason.IN_FLIGHT in reasons(disks[1]), 60)
        assert daemon.end() == 0
    (request,) = open_existing(f"sqlite:///{disks[1] / 'history.db'}").requests(KEY, 9)
    assert request.state is RequestState.SENT
    assert len(cluster.puts) == 1


@pytest.mark.servers
@pytest.mark.timeout(60)
def test_a_daemon_with_a_keytab_reads_the_copy_of_a_secured_cluster(tmp_path: Path, realm: Realm, stub: Stub) -> None:
    """The keytab of the settings is what HDFS is shown."""
    with Stub() as data_node:
        hdfs = SecuredHdfs(stub, data_node, realm.initiator)
        hdfs.files[FILE] = a_copy()
        copy_to = f"webhdfs://localhost:{stub.port}{FILE}"
        kept = {"url": f"sqlite:///{tmp_path / 'history.db'}", "copy_to": copy_to}
        settings = settings_file(tmp_path, stub, store=kept, kerberos={"keytab": str(realm.client)})
        with Daemon(settings) as daemon:
            daemon.wait_for("the store begins from its copy", timeout_s=40, copy=copy_to)
            assert daemon.end() == 0
    assert hdfs.users == ["autoscaler@TEST"]
