"""What follows an installation: upgrades that go back if they must, removal, and the service's own files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.emr.host import REPOSITORY, Host

pytestmark = pytest.mark.slow

SYSTEMD_ANALYZE = shutil.which("systemd-analyze")
SERVICE = REPOSITORY / "systemd" / "autoscaler.service"
STORE = "var/lib/autoscaler/autoscaler.db"
needs_systemd = pytest.mark.skipif(SYSTEMD_ANALYZE is None, reason="systemd-analyze is not installed (package systemd)")


@pytest.fixture
def old(host: Host) -> Path:
    """The version that runs, with a store."""
    ended = host.run(host.bundle("1.0.0") / "install.sh")
    assert ended.status == 0, ended.text
    return host.write(STORE, "a history")


def snapshot(host: Host) -> dict[str, str]:
    """Every file of the host's disk with what it holds or points at, but the lock of installations."""
    files = [file for file in host.root.rglob("*") if file.is_symlink() or file.is_file()]
    return {
        str(file): str(file.readlink()) if file.is_symlink() else file.read_text()
        for file in files
        if file.name != "autoscaler-install.lock"
    }


class TestUpgrade:
    def test_it_keeps_settings_and_store(self, host: Host, old: Path) -> None:
        """The new version runs with the old settings and store, and what is older than the one before is removed."""
        settings = host.write("etc/autoscaler/autoscaler.yaml", "mode: act\n")
        former = host.version
        assert host.run(host.bundle("1.1.0") / "upgrade.sh").status == 0
        assert host.version.startswith("1.1.0-")
        assert host.run(host.bundle("1.2.0") / "upgrade.sh").status == 0
        assert host.version.startswith("1.2.0-")
        kept = {folder.name.partition("-")[0] for folder in (host.root / "opt/autoscaler/versions").iterdir()}
        assert kept == {"1.1.0", "1.2.0"}
        assert former.startswith("1.0.0-")
        assert settings.read_text() == "mode: act\n"
        assert old.read_text() == "a history"
        assert [file.name for file in old.parent.iterdir()] == ["autoscaler.db"]

    @pytest.mark.parametrize(
        ("state", "asked", "why"),
        [("activating", 60, "was not ready within 60 s"), ("failed", 1, "ended with an error")],
    )
    def test_it_goes_back_if_the_new_version_is_not_ready(
        self, host: Host, old: Path, state: str, asked: int, why: str
    ) -> None:
        """After 60 s, or once systemd gave it up, the old version runs again, with its unit and the store as it was."""
        former, unit = host.version, host.read("etc/systemd/system/autoscaler.service")
        bundle = host.bundle("2.0.0")
        host.tell("unready", "2.0.0")
        host.tell("unready-state", state)
        ended = host.run(bundle / "upgrade.sh")
        assert ended.status == 1
        assert f"the new version {why}; {host.root}/opt/autoscaler/versions/1.0.0-" in ended.text
        assert host.version == former
        assert old.read_text() == "a history"
        assert [file.name for file in old.parent.iterdir()] == ["autoscaler.db"]
        assert host.read("etc/systemd/system/autoscaler.service") == unit
        assert (host.fake / "state").read_text() == "active\n"
        assert host.called("systemctl is-active autoscaler.service") == asked + 1

    def test_a_store_elsewhere_is_copied_too(self, host: Host, old: Path) -> None:
        """Wherever the settings have the store, it is put back as it was, with the log SQLite keeps beside it."""
        files = [host.write(f"data/history.db{end}", f"history{end}") for end in ("", "-wal", "-shm")]
        host.tell("store", "/data/history.db")
        host.tell("unready", "2.0.0")
        assert host.run(host.bundle("2.0.0") / "upgrade.sh").status == 1
        assert [file.read_text() for file in files] == ["history", "history-wal", "history-shm"]
        assert sorted(files[0].parent.iterdir()) == sorted(files)
        assert old.read_text() == "a history"

    def test_a_store_on_a_server_is_not_copied_and_that_is_said(self, host: Host, old: Path) -> None:
        """Who has the store on a database server is told that only a backup leads back."""
        host.tell("store", "")
        ended = host.run(host.bundle("2.0.0") / "upgrade.sh")
        assert (ended.status, host.version[:6]) == (0, "2.0.0-")
        assert "only a backup of the database leads back" in ended.text

    def test_settings_the_new_version_cannot_use_stop_it(self, host: Host, old: Path) -> None:
        """They are found out before the old version is stopped."""
        former = host.version
        host.tell("settings-status", "1")
        ended = host.run(host.bundle("2.0.0") / "upgrade.sh")
        assert (ended.status, host.version, host.called("systemctl stop")) == (1, former, 0)
        assert "cannot use the settings in" in ended.text

    def test_it_goes_back_if_it_is_interrupted(self, host: Host, old: Path) -> None:
        """A connection that breaks while it waits leaves the old version running."""
        former = host.version
        host.tell("unready", "2.0.0")
        host.tell("kill")
        ended = host.run(host.bundle("2.0.0") / "upgrade.sh")
        assert ended.status == 1
        assert "as this was interrupted; going back to " in ended.text
        assert host.version == former
        assert old.read_text() == "a history"
        assert (host.fake / "state").read_text() == "active\n"

    def test_it_is_called_off_if_it_is_interrupted_early(self, host: Host, old: Path) -> None:
        """A connection that breaks while the old version is stopped and its store copied does not leave it stopped."""
        former = host.version
        host.tell("kill-at-stop")
        ended = host.run(host.bundle("2.0.0") / "upgrade.sh")
        assert ended.status == 1
        assert "interrupted. Nothing was changed" in ended.text
        assert (host.version, (host.fake / "state").read_text()) == (former, "active\n")
        assert old.read_text() == "a history"
        assert [file.name for file in old.parent.iterdir()] == ["autoscaler.db"]

    def test_a_damaged_bundle_is_refused_while_the_old_version_runs(self, host: Host, old: Path) -> None:
        """Nothing is stopped before the new version is completely there."""
        bundle = host.bundle("2.0.0")
        (bundle / "VERSION").write_text("3.0.0\n")
        ended = host.run(bundle / "upgrade.sh")
        assert (ended.status, host.called("systemctl stop")) == (1, 0)
        assert "VERSION: FAILED" in ended.text

    def test_a_store_that_cannot_be_copied_stops_it(self, host: Host, old: Path) -> None:
        """Without a copy of the store there is no way back, so the old version goes on."""
        former = host.version
        (old.parent / "autoscaler.db-wal").mkdir()  # cp refuses a folder
        ended = host.run(host.bundle("2.0.0") / "upgrade.sh")
        assert ended.status == 1
        assert "could not be copied" in ended.text
        assert (host.version, (host.fake / "state").read_text()) == (former, "active\n")

    def test_a_service_that_was_stopped_stays_so(self, host: Host, old: Path) -> None:
        """Who stopped the service has a reason."""
        host.tell("state", "inactive")
        started = host.called("systemctl start")
        assert host.run(host.bundle("2.0.0") / "upgrade.sh").status == 0
        assert host.version.startswith("2.0.0-")
        assert host.called("systemctl start") == started

    def test_without_an_installation_it_says_so(self, host: Host) -> None:
        """upgrade.sh is not install.sh."""
        ended = host.run(host.bundle("2.0.0") / "upgrade.sh")
        assert (ended.status, host.calls) == (1, [])
        assert "run install.sh" in ended.text


class TestExtras:
    def test_a_driver_is_installed_when_it_is_asked_for(self, host: Host, old: Path) -> None:
        """The bundle has the drivers of database servers, of which an installation gets those it names; the service
        that runs is started anew with them, and later runs have nothing to do."""
        assert not [call for call in host.calls if "requirements-" in call]
        script = host.folder / "autoscaler-1.0.0" / "install.sh"
        for _ in range(2):
            assert host.run(script, "--postgresql").status == 0
        assert [call for call in host.calls if "requirements-" in call] == [
            f"pip {script.parent}/requirements-postgresql.txt"
        ]
        assert host.called("systemctl restart") == 1

    def test_later_versions_have_it_too(self, host: Host, old: Path) -> None:
        """An upgrade or a later installation brings the drivers of the version before without being told."""
        assert host.run(host.folder / "autoscaler-1.0.0" / "install.sh", "--mysql").status == 0
        upgraded, installed = host.bundle("1.1.0"), host.bundle("1.2.0")
        assert host.run(upgraded / "upgrade.sh").status == 0
        assert host.run(installed / "install.sh").status == 0
        for bundle in (upgraded, installed):
            assert f"pip {bundle}/requirements-mysql.txt" in host.calls
            assert f"pip {bundle}/requirements-postgresql.txt" not in host.calls


class TestKerberos:
    """The extra that is built where it is installed."""

    @pytest.mark.parametrize(
        ("missing", "dnf", "apt"),
        [
            ("no-gcc", "gcc", "gcc libc6-dev"),
            ("no-krb5", "krb5-devel", "libkrb5-dev"),
            ("no-headers", "python3.11-devel", "python3.11-dev"),
        ],
    )
    def test_the_missing_package_is_named(self, host: Host, old: Path, missing: str, dnf: str, apt: str) -> None:
        """Each by the name it has where packages come by dnf, or by apt, and nothing is changed."""
        host.tell(missing)
        script, before = host.bundle("1.1.0") / "install.sh", snapshot(host)
        ended = host.run(script, "--kerberos")
        assert f"missing: {dnf}. Nothing was changed. Install it with: dnf install {dnf}\n" in ended.text
        host.has_apt()
        ended = host.run(script, "--kerberos")
        assert ended.status == 1
        assert f"missing: {apt}. Nothing was changed. Install it with: apt-get install {apt}\n" in ended.text
        assert snapshot(host) == before

    def test_a_build_that_fails_leaves_what_is_there(self, host: Host, old: Path) -> None:
        """The version that runs goes on running as it is, and the extra can be asked for again."""
        script = host.folder / "autoscaler-1.0.0" / "install.sh"
        before = snapshot(host)
        host.tell("pip-fails")
        ended = host.run(script, "--kerberos")
        assert ended.status == 1
        assert "requirements-kerberos.txt names could not be installed" in ended.text
        assert snapshot(host) == before
        assert not host.called("systemctl restart")
        (host.fake / "pip-fails").unlink()
        assert host.run(script, "--kerberos").status == 0
        assert host.called("systemctl restart") == 1

    def test_an_upgrade_brings_it(self, host: Host, old: Path) -> None:
        """It is built anew for the new version; where that is not possible the old version goes on untouched."""
        assert host.run(host.folder / "autoscaler-1.0.0" / "install.sh", "--kerberos").status == 0
        script, before = host.bundle("1.1.0") / "upgrade.sh", snapshot(host)
        host.tell("no-gcc")
        ended = host.run(script)
        assert (ended.status, host.called("systemctl stop")) == (1, 0)
        assert "dnf install gcc" in ended.text
        assert snapshot(host) == before
        (host.fake / "no-gcc").unlink()
        assert host.run(script).status == 0
        assert f"pip {script.parent}/requirements-kerberos.txt" in host.calls
        host.tell("no-gcc")
        assert host.run(script.with_name("install.sh")).status == 0, "it is there, so nothing is built"


class TestUninstall:
    def test_all_but_the_store_goes(self, host: Host, old: Path) -> None:
        """What was there before is there after, and the store."""
        ended = host.run(host.root / "opt/autoscaler/current/share/uninstall.sh")
        assert ended.status == 0, ended.text
        left = {str(file.relative_to(host.root)) for file in host.root.rglob("*") if file.is_file()}
        assert left - set(host.foreign()) == {
            STORE,
            "run/autoscaler-install.lock",
            "usr/lib/sysusers.d/autoscaler.conf",
        }
        assert host.called("systemctl disable --now autoscaler.service") == 1
        assert host.called("systemctl reset-failed autoscaler.service") == 1
        assert host.run(host.folder / "autoscaler-1.0.0" / "uninstall.sh").status == 0

    def test_purge_removes_the_store_too(self, host: Host, old: Path) -> None:
        """--purge leaves nothing, not even the user."""
        assert host.run(host.folder / "autoscaler-1.0.0" / "uninstall.sh", "--purge").status == 0
        left = {str(file.relative_to(host.root)) for file in host.root.rglob("*") if file.is_file()}
        assert left - set(host.foreign()) == {"run/autoscaler-install.lock"}
        assert host.called("getent passwd autoscaler") == 1


def test_a_plain_yarn_host_logs_to_the_journal(host: Host) -> None:
    """Where nothing is of EMR nothing is made for its log pusher."""
    shutil.rmtree(host.root / "mnt")
    shutil.rmtree(host.root / "emr")
    assert host.run(host.bundle() / "install.sh", "--act").status == 0
    assert (host.root / "etc/systemd/system/autoscaler.service").exists()
    assert not (host.root / "etc/systemd/system/autoscaler.service.d").exists()
    assert not (host.root / "etc/logpusher").exists()
    assert not (host.root / "var/log/autoscaler").exists()


def test_install_needs_root(host: Host) -> None:
    """It says so instead of failing half-way."""
    host.tell("uid", "1000")
    ended = host.run(host.bundle() / "install.sh")
    assert (ended.status, host.calls) == (1, [])
    assert "root is needed" in ended.text


@needs_systemd
def test_the_unit_is_sound(tmp_path: Path) -> None:
    """systemd finds nothing to complain of once the command is in place."""
    unit = tmp_path / "autoscaler.service"
    unit.write_text(SERVICE.read_text().replace("/opt/autoscaler/current/bin/autoscaler", "/bin/true"))
    verified = subprocess.run([str(SYSTEMD_ANALYZE), "verify", str(unit)], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")


@needs_systemd
def test_the_unit_is_hardened() -> None:
    """systemd rates its exposure at 1.5 of 10 or better."""
    command = [str(SYSTEMD_ANALYZE), "security", "--no-pager", "--offline=yes", "--threshold=15", str(SERVICE)]
    rated = subprocess.run(command, capture_output=True, text=True)
    assert rated.returncode == 0, rated.stdout


def test_the_service_never_needs_hadoop() -> None:
    """No ordering or dependency on a unit that does not exist when a bootstrap action runs."""
    text = SERVICE.read_text()
    for line in ("Type=notify", "WatchdogSec=180", "Restart=on-failure", "RestartPreventExitStatus=2", "RestartSec=10"):
        assert f"\n{line}\n" in text
    assert "StartLimitIntervalSec=0" in text
    named = [
        line for line in text.splitlines() if line.startswith(("After=", "Before=", "Requires=", "BindsTo=", "Wants="))
    ]
    assert named == ["After=network-online.target"]
