"""Copies on HDFS and S3: written whole, found again, and every way of failing said with where and why."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from autoscaler.cluster import DepotError, Spnego, Transient, depot_at, keytab_tokens
from tests.adapters.kdc import Realm
from tests.adapters.stub import HANG, Answer, Call, Stub, json_of

FILE = "/apps/autoscaler/store.gz"


class Hdfs:
    """A NameNode that sends to a DataNode for content, both behind one stub, as WebHDFS is documented."""

    def __init__(self, stub: Stub) -> None:
        self.files: dict[str, bytes] = {}
        self.users: set[str] = set()
        self._stub = stub
        stub.otherwise(self._answer)

    def _answer(self, call: Call) -> Answer:
        parts = urlsplit(call.path)
        path = parts.path.removeprefix("/webhdfs/v1").removeprefix("/data-node")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/data-node"):
            if call.method == "GET":
                return Answer(body=self.files[path])
            self.files[path] = call.body
            return Answer(status=201)
        self.users.add(query["user.name"])
        assert call.body == b"", "content belongs to the DataNode alone"
        if query["op"] == "RENAME":
            assert query["renameoptions"] == "OVERWRITE"
            self.files[query["destination"]] = self.files.pop(path)
            return Answer()
        if query["op"] == "OPEN" and path not in self.files:
            said = {"exception": "FileNotFoundException", "message": f"File does not exist: {path}"}
            return json_of({"RemoteException": said}, 404)
        return Answer(status=307).with_headers(Location=f"{self._stub.url}/data-node{path}")


@pytest.fixture
def hdfs(stub: Stub) -> Hdfs:
    return Hdfs(stub)


@pytest.fixture
def standby() -> Iterator[Stub]:
    with Stub() as other:
        said = {"exception": "StandbyException", "message": "Operation category READ is not supported in state standby"}
        other.otherwise(lambda _: json_of({"RemoteException": said}, 403))
        yield other


def test_hdfs_gives_back_what_was_written_last(stub: Stub, hdfs: Hdfs) -> None:
    """A copy replaces the one before as a whole; before the first there is none."""
    depot = depot_at(f"webhdfs://etl@127.0.0.1:{stub.port}{FILE}")
    assert depot.read(5) is None
    for content in (b"first", b"second" * 100_000):
        depot.write(content, 5)
        assert depot.read(5) == content
    assert hdfs.files == {FILE: b"second" * 100_000}
    assert hdfs.users == {"etl"}


def test_the_active_name_node_is_found(stub: Stub, hdfs: Hdfs, standby: Stub) -> None:
    """Of several NameNodes a standby and one that is gone are passed over; with neither active each is named."""
    with Stub() as gone:
        pass
    depot = depot_at(f"webhdfs://127.0.0.1:{gone.port},127.0.0.1:{standby.port},127.0.0.1:{stub.port}{FILE}")
    depot.write(b"content", 5)
    assert (hdfs.files, hdfs.users) == ({FILE: b"content"}, {"autoscaler"})
    with pytest.raises(DepotError, match=rf"{gone.port}.*refused.*; http://127.0.0.1:{standby.port} is a standby"):
        depot_at(f"webhdfs://127.0.0.1:{gone.port},127.0.0.1:{standby.port}{FILE}").read(5)


def test_what_hdfs_refuses_is_said(stub: Stub) -> None:
    """The answer of HDFS is in the message, and nothing is taken for a copy that is none."""
    stub.otherwise(
        lambda _: json_of({"RemoteException": {"exception": "AccessControlException", "message": "no"}}, 403)
    )
    depot = depot_at(f"webhdfs://127.0.0.1:{stub.port}{FILE}")
    with pytest.raises(DepotError, match=rf"PUT http://127.0.0.1:{stub.port}/webhdfs/v1{FILE}.new: got 403: .*Access"):
        depot.write(b"content", 5)
    with pytest.raises(DepotError, match=r"GET .*: got 403"):
        depot.read(5)
    stub.otherwise(lambda _: json_of({}))
    with pytest.raises(DepotError, match="expected 307 with a DataNode, got 200"):
        depot.read(5)


def test_a_hanging_name_node_is_given_up(stub: Stub) -> None:
    """A call ends after the time it may take."""
    stub.otherwise(lambda _: HANG)
    with pytest.raises(DepotError, match="timed out"):
        depot_at(f"webhdfs://127.0.0.1:{stub.port}{FILE}").read(0.2)


class SecuredHdfs:
    """A NameNode that asks ``initiator`` who a request is from, and sends to a DataNode with a delegation token, which
    is all that one asks for."""

    def __init__(self, name_node: Stub, data_node: Stub, initiator: Callable[[Call], str]) -> None:
        self.files: dict[str, bytes] = {}
        self.users: list[str] = []
        self._data_node = data_node
        self._initiator = initiator
        name_node.otherwise(self._answer)
        data_node.otherwise(self._answer_content)

    def _answer(self, call: Call) -> Answer:
        if call.header("Authorization") is None:
            return Answer(status=401).with_headers(WWW_Authenticate="Negotiate")
        self.users.append(self._initiator(call))
        parts = urlsplit(call.path)
        query = parse_qs(parts.query)
        assert "user.name" not in query, "Usernames not matched"
        if query["op"] == ["RENAME"]:
            (destination,) = query["destination"]
            self.files[destination] = self.files.pop(parts.path.removeprefix("/webhdfs/v1"))
            return Answer()
        location = f"{self._data_node.url}{call.path}&delegation={SECRET}&namenoderpcaddress=nn:8020"
        return Answer(status=307).with_headers(Location=location)

    def _answer_content(self, call: Call) -> Answer:
        parts = urlsplit(call.path)
        query = parse_qs(parts.query)
        assert (query["delegation"], query["namenoderpcaddress"]) == ([SECRET], ["nn:8020"])
        assert call.header("Authorization") is None
        assert call.header("Cookie") is None
        path = parts.path.removeprefix("/webhdfs/v1")
        if call.method == "GET":
            return Answer(body=self.files[path])
        self.files[path] = call.body
        return Answer(status=201)


SECRET = "HAAGaGFkb29w"


@pytest.fixture
def data_node() -> Iterator[Stub]:
    with Stub() as other:
        yield other


class TestSecured:
    """HDFS on a cluster secured by Kerberos."""

    def test_a_proof_for_the_name_node_a_token_for_the_data_node(self, stub: Stub, data_node: Stub) -> None:
        """Each request to the NameNode carries a proof made for its host and no name; none of it goes to the DataNode,
        which gets the delegation token it was named with."""
        depot = depot_at(
            f"webhdfs://etl@127.0.0.1:{stub.port}{FILE}", spnego=Spnego(lambda host: f"made for {host}".encode())
        )
        said = SecuredHdfs(
            stub, data_node, lambda call: base64.b64decode(str(call.header("Authorization"))[10:]).decode()
        )
        depot.write(b"content", 5)
        assert depot.read(5) == b"content"
        assert said.users == ["made for 127.0.0.1"] * 3

    def test_without_a_keytab_the_setting_is_named(self, stub: Stub, data_node: Stub) -> None:
        """A demand for Kerberos is named as what it is; one that is not met by the proof too."""
        SecuredHdfs(stub, data_node, str)
        address = f"webhdfs://127.0.0.1:{stub.port}{FILE}"
        with pytest.raises(DepotError, match=r"got 401 \(Negotiate\); on a secured cluster set kerberos\.keytab"):
            depot_at(address).read(5)
        stub.otherwise(lambda _: Answer(status=401).with_headers(WWW_Authenticate="Negotiate"))
        with pytest.raises(DepotError, match=r"got 401 \(Negotiate\); .*kerberos\.principal"):
            depot_at(address, spnego=Spnego(lambda _: b"nobody")).write(b"content", 5)
        assert data_node.calls == []

    def test_without_a_ticket_nothing_is_sent(self, stub: Stub, data_node: Stub) -> None:
        """A KDC that gives none is said with the NameNode the ticket was for."""

        def none(host: str) -> bytes:
            raise Transient("kerberos", f"no ticket for HTTP/{host}")

        SecuredHdfs(stub, data_node, str)
        with pytest.raises(DepotError, match=rf"127\.0\.0\.1:{stub.port}/.*: no ticket for HTTP/127\.0\.0\.1"):
            depot_at(f"webhdfs://127.0.0.1:{stub.port}{FILE}", spnego=Spnego(none)).write(b"content", 5)
        assert stub.calls == []

    def test_the_delegation_token_is_in_no_message(self, stub: Stub, data_node: Stub) -> None:
        """A DataNode that is gone, or refuses, is named without the token it would have been shown."""
        SecuredHdfs(stub, data_node, str)
        depot = depot_at(f"webhdfs://127.0.0.1:{stub.port}{FILE}", spnego=Spnego(lambda _: b"I"))
        data_node.otherwise(lambda _: json_of({"RemoteException": {"message": "Token has expired"}}, 403))
        for break_it in (lambda: None, data_node.stop):
            break_it()
            with pytest.raises(DepotError, match=rf"PUT {data_node.url}/webhdfs/v1{FILE}\.new: ") as refused:
                depot.write(b"content", 5)
            assert SECRET not in str(refused.value)

    @pytest.mark.servers
    def test_a_real_kdcs_ticket_is_understood(self, realm: Realm, stub: Stub, data_node: Stub) -> None:
        """With a keytab alone the copy is written and read as its principal."""
        hdfs = SecuredHdfs(stub, data_node, realm.initiator)
        spnego = Spnego(keytab_tokens(realm.client, None))
        depot = depot_at(f"webhdfs://localhost:{stub.port}{FILE}", spnego=spnego)
        depot.write(b"content", 5)
        assert depot.read(5) == b"content"
        assert hdfs.users == ["autoscaler@TEST"] * 3


AWS = """#!/bin/bash
[ "$1 $2 $3" = "s3 cp --only-show-errors" ] || exit 252
[ ! -e "$0.hangs" ] || exec sleep 60
[ ! -e "$0.fails" ] || { echo 'fatal error: Unable to locate credentials' >&2; exit 1; }
if [ "$4" = - ]; then exec cat >"$0.${5##*/}"; fi
[ -e "$0.${4##*/}" ] || {
    echo 'fatal error: An error occurred (404) when calling the HeadObject operation: Key "x" does not exist' >&2
    exit 1
}
exec cat "$0.${4##*/}"
"""


@pytest.fixture
def aws(tmp_path: Path) -> Path:
    """A stand-in of the AWS CLI."""
    program = tmp_path / "aws"
    program.write_text(AWS)
    program.chmod(0o755)
    return program


def test_s3_gives_back_what_was_written_last(aws: Path) -> None:
    """The command of the AWS CLI is given the content and asked for it; a missing object is no copy."""
    depot = depot_at("s3://bucket/autoscaler/store.gz", aws=str(aws))
    assert depot.read(5) is None
    depot.write(b"\x00first", 5)
    depot.write(b"\x00second", 5)
    assert depot.read(5) == b"\x00second"


def test_what_the_aws_command_says_is_said(aws: Path) -> None:
    """Missing credentials, a command that hangs and one that is not there are told apart, and are no missing copy."""
    depot = depot_at("s3://bucket/store.gz", aws=str(aws))
    aws.with_name("aws.fails").touch()
    with pytest.raises(DepotError, match=r"s3://bucket/store.gz -: status 1: .*Unable to locate credentials"):
        depot.read(5)
    aws.with_name("aws.hangs").touch()
    with pytest.raises(DepotError, match=r"not done within 0\.2 s"):
        depot.write(b"", 0.2)
    with pytest.raises(DepotError, match="install the AWS CLI"):
        depot_at("s3://bucket/store.gz", aws=str(aws.with_name("nowhere"))).read(5)
