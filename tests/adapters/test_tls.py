"""https with a certificate of the cluster's own authority."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.cluster import DepotError, HttpClient, PutResult, Transient, depot_at
from tests.adapters.stub import Answer, Stub, json_of

PUT = "/jobs/1/resource-requirements"


def openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, ca.pem, and what it signed for 127.0.0.1, server.pem with server.key."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    usage = "keyUsage=critical,keyCertSign,cRLSign"
    root = ("-x509", "-subj", "/CN=authority", "-days", "2", "-addext", usage, "-keyout", "ca.key", "-out", "ca.pem")
    openssl(folder, "req", *key, *root)
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(folder, "req", *key, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.csr")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "names", "-out", "server.pem")
    openssl(folder, "x509", "-req", "-in", "server.csr", *signed)
    return folder


@pytest.fixture
def secured(certificates: Path) -> Iterator[Stub]:
    """A server on https."""
    stub = Stub(certificates / "server.pem", certificates / "server.key")
    with stub:
        yield stub


def client(verify: bool | str) -> HttpClient:
    return HttpClient(workers=2, timeout_s=5, verify=verify)


def test_the_clusters_authority_is_trusted(secured: Stub, certificates: Path) -> None:
    """With its file reads and writes go through, each PUT asked about once more when the connection is secured."""
    secured.answer("/x", json_of({"a": 1}))
    secured.answer(PUT, json_of({}), method="PUT")
    asked: list[int] = []
    with client(str(certificates / "ca.pem")) as http:
        assert http.get_json(f"{secured.url}/x") == {"a": 1}
        answer = http.put_json(secured.url + PUT, {}, objection=lambda: asked.append(len(secured.calls)))
        assert (answer.result, asked) == (PutResult.ACCEPTED, [1])
        withdrawn = http.put_json(secured.url + PUT, {}, objection=lambda: "no more")
        assert (withdrawn.result, secured.count(PUT, "PUT")) == (PutResult.WITHDRAWN, 1)


def test_an_authority_nobody_knows_is_not(secured: Stub) -> None:
    """Without the file nothing is sent to who cannot prove who it is, and the message says that it is TLS."""
    with client(True) as http:
        with pytest.raises(Transient, match=r"TLS failed: .*certificate verify failed") as raised:
            http.get_json(f"{secured.url}/x")
        answer = http.put_json(secured.url + PUT, {})
    assert (raised.value.kind, answer.result) == ("tls", PutResult.NOT_SENT)
    assert secured.calls == []


def test_a_certificate_of_another_host_is_refused(secured: Stub, certificates: Path) -> None:
    """The name that was asked for must be in the certificate."""
    with client(str(certificates / "ca.pem")) as http, pytest.raises(Transient, match=r"TLS failed: .*localhost"):
        http.get_json(f"https://localhost:{secured.port}/x")


def test_a_copy_goes_to_hdfs_over_tls(secured: Stub, certificates: Path) -> None:
    """The same authority holds for ``swebhdfs``."""
    address = f"swebhdfs://127.0.0.1:{secured.port}/copy"
    said = {"RemoteException": {"exception": "FileNotFoundException"}}
    secured.otherwise(lambda _: json_of(said, 404))
    assert depot_at(address, verify=str(certificates / "ca.pem")).read(5) is None
    with pytest.raises(DepotError, match="certificate verify failed"):
        depot_at(address).read(5)


def test_no_copy_leaves_tls(secured: Stub, certificates: Path) -> None:
    """A NameNode on TLS that sends to a DataNode without it is not followed: token and content would go in clear."""
    with Stub() as data_node:
        location = f"{data_node.url}/webhdfs/v1/copy?op=CREATE&delegation=secret"
        secured.otherwise(lambda _: Answer(status=307).with_headers(Location=location))
        depot = depot_at(f"swebhdfs://127.0.0.1:{secured.port}/copy", verify=str(certificates / "ca.pem"))
        for call in (lambda: depot.write(b"content", 5), lambda: depot.read(5)):
            with pytest.raises(DepotError, match=r"sent on without TLS, to http://.*/webhdfs/v1/copy; see dfs"):
                call()
        assert data_node.calls == []
