"""A Kerberos realm of the tests' own, from Debian's krb5-kdc and krb5-admin-server."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.adapters.stub import Call

REALM = "TEST"


@dataclass(frozen=True)
class Realm:
    """A running KDC with keys for the daemon and for a server on localhost."""

    client: Path
    server: Path

    def initiator(self, call: Call) -> str:
        """Who a request is from, as the server's keys tell."""
        import gssapi

        accepts = gssapi.Credentials(usage="accept", store={"keytab": str(self.server)})
        context = gssapi.SecurityContext(creds=accepts, usage="accept")
        context.step(base64.b64decode((call.header("Authorization") or "").removeprefix("Negotiate ")))
        return str(context.initiator_name)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


CLIENT_CONF = """[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
{realm} = {{
    kdc = 127.0.0.1:{port}
}}
"""
KDC_CONF = """[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/acl
}}
"""


def running_kdc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Realm]:
    """Start one in a folder; skips the test where there is none to start."""
    pytest.importorskip("gssapi", reason="gssapi is not installed: pip install -r requirements-kerberos.lock")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    programs = {name: shutil.which(name, path=path) for name in ("kdb5_util", "kadmin.local", "krb5kdc")}
    if None in programs.values():
        pytest.skip("no KDC is installed: apt-get install krb5-kdc krb5-admin-server")
    told = {"realm": REALM, "port": free_port(), "folder": tmp_path}
    (tmp_path / "krb5.conf").write_text(CLIENT_CONF.format(**told))
    (tmp_path / "kdc.conf").write_text(KDC_CONF.format(**told))
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
    monkeypatch.setenv("KRB5_KDC_PROFILE", str(tmp_path / "kdc.conf"))
    monkeypatch.setenv("KRB5RCACHEDIR", str(tmp_path))

    def run(program: str, *arguments: str) -> None:
        done = subprocess.run([str(programs[program]), *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
    found = Realm(client=tmp_path / "client.keytab", server=tmp_path / "server.keytab")
    for principal, keytab in (("autoscaler", found.client), ("HTTP/localhost", found.server)):
        run("kadmin.local", "-q", f"addprinc -randkey {principal}")
        run("kadmin.local", "-q", f"ktadd -k {keytab} {principal}")
    with subprocess.Popen([str(programs["krb5kdc"]), "-n"], stderr=subprocess.PIPE, text=True) as kdc:
        assert kdc.stderr is not None
        while "starting" not in (line := kdc.stderr.readline()):
            assert line, "krb5kdc ended"
        yield found
        kdc.terminate()
