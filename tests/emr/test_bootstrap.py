"""The bootstrap action on a fake EMR host: whatever it meets, the cluster starts, unharmed, and the log says why."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.emr.host import Ended, Host

pytestmark = pytest.mark.slow

STARTED = "systemctl enable --now --no-block autoscaler.service"


def bootstrapped(host: Host, *arguments: str) -> Ended:
    """The bootstrap action with a sound bundle on S3."""
    address, digest = host.upload(host.bundle())
    return host.bootstrap("--bundle", address, "--sha256", digest, *arguments)


def assert_harmless(host: Host, before: dict[str, bytes], ended: Ended, *words: str) -> None:
    """It ended well for EMR, touched nothing of the cluster, installed nothing, and said why."""
    assert ended.status == 0, ended.text
    assert host.foreign() == before
    assert not (host.root / "opt/autoscaler/current").exists()
    assert not host.called("systemctl enable")
    for word in words:
        assert word in ended.text


@pytest.mark.parametrize("masters", [1, 3])
def test_a_master_gets_the_service(tmp_path: Path, masters: int) -> None:
    """On a single master and on each of three: the files, and the service started without waiting, advising."""
    host = Host(tmp_path, masters=masters)
    before = host.foreign()
    ended = bootstrapped(host)
    assert ended.status == 0, ended.text
    assert host.foreign() == before
    assert host.called(STARTED) == 1
    assert "\nmode: advise\n" in host.read("etc/autoscaler/autoscaler.yaml")
    assert "ExecStart=/opt/autoscaler/current/bin/autoscaler run" in host.read("etc/systemd/system/autoscaler.service")
    assert "append:/var/log/autoscaler/" in host.read("etc/systemd/system/autoscaler.service.d/emr.conf")
    assert "/var/log/autoscaler/" in json.loads(host.read("etc/logpusher/autoscaler.config"))
    assert (host.root / "var/log/autoscaler/autoscaler.log").stat().st_mode & 0o777 == 0o644, (
        "EMR's log pusher reads it"
    )
    assert (host.root / "usr/bin/autoscaler").resolve().exists()
    assert list((host.root / "tmp").iterdir()) == []
    order = [call.split()[0] for call in host.calls if call.startswith(("aws", "systemd-sysusers", "systemctl enable"))]
    assert order == ["aws", "systemd-sysusers", "systemctl"]


def test_it_passes_on_what_the_installer_is_to_do(host: Host) -> None:
    """The drivers of database servers and the binding to Kerberos can be asked for with the cluster's definition."""
    assert bootstrapped(host, "--act", "--postgresql", "--mysql", "--kerberos").status == 0
    assert [call.rpartition("/")[2] for call in host.calls if call.startswith("pip")] == [
        "requirements.txt",
        "requirements-postgresql.txt",
        "requirements-mysql.txt",
        "requirements-kerberos.txt",
    ]
    assert "\nmode: act\n" in host.read("etc/autoscaler/autoscaler.yaml")


@pytest.mark.parametrize("role", ["core", "task"])
def test_other_nodes_are_left_alone(tmp_path: Path, role: str) -> None:
    """A core or task node starts no program at all, whichever of EMR's files tells what it is."""
    host = Host(tmp_path, role=role)
    before = host.foreign()
    assert_harmless(host, before, host.bootstrap("--bundle", "s3://b/x.tar.gz"), "nothing to do here")
    (host.root / "mnt/var/lib/info/instance.json").unlink()
    before = host.foreign()
    assert_harmless(host, before, host.bootstrap("--bundle", "s3://b/x.tar.gz"), "nothing to do here")
    assert host.calls == []


def test_files_of_emr_are_missing(host: Host) -> None:
    """Where nothing tells whether this is a master nothing is done; one of the two files is enough."""
    (host.root / "mnt/var/lib/info/instance.json").write_text("{")
    (host.root / "emr/instance-controller/lib/info/extraInstanceData.json").unlink()
    before = host.foreign()
    assert_harmless(host, before, bootstrapped(host), "neither instance.json nor extraInstanceData.json")
    host.write("emr/instance-controller/lib/info/extraInstanceData.json", '{"instanceRole":"MASTER"}')
    assert host.bootstrap("--bundle", f"{host.fake}/s3/autoscaler-1.0.0.tar.gz").status == 0
    assert host.called(STARTED) == 1


def test_no_network(host: Host) -> None:
    """A bundle that cannot be fetched is named, with what the tool said."""
    host.tell("no-network")
    before = host.foreign()
    ended = bootstrapped(host)
    assert_harmless(host, before, ended, "FAILED: s3://", "could not be fetched", "Could not connect to the endpoint")
    ended = host.bootstrap("--bundle", "https://example.com/x.tar.gz")
    assert_harmless(host, before, ended, "https://example.com/x.tar.gz could not be fetched")


def test_a_missing_python_is_installed_where_it_can_be(host: Host) -> None:
    """Python 3.11 comes from the repositories; without them one message says what to do."""
    host.tell("no-python")
    host.tell("no-network")
    before = host.foreign()
    ended = host.bootstrap("--bundle", str(host.fake / "s3" / host.upload(host.bundle())[0].removeprefix("s3://")))
    assert_harmless(host, before, ended, "Python 3.11 is missing and could not be installed", "dnf install python3.11")
    (host.fake / "no-network").unlink()
    ended = host.bootstrap("--bundle", str(host.fake / "s3/autoscaler-1.0.0.tar.gz"))
    assert (ended.status, host.called(STARTED)) == (0, 1)


def test_what_kerberos_is_built_with_is_missing(host: Host) -> None:
    """Without compiler or headers the cluster starts without the autoscaler, and the log names the packages."""
    for name in ("no-gcc", "no-krb5", "no-headers"):
        host.tell(name)
    before = host.foreign()
    ended = bootstrapped(host, "--kerberos")
    assert_harmless(host, before, ended, "missing: gcc krb5-devel python3.11-devel. Nothing was changed", "dnf install")
    assert not (host.root / "opt/autoscaler").exists()


def test_a_hanging_download_is_given_up(host: Host) -> None:
    """Neither a download nor anything else holds up the cluster for longer than the limit."""
    host.tell("hanging")
    host.tell("limit", "1")
    before = host.foreign()
    assert_harmless(host, before, bootstrapped(host), "given up after 600 s", "the installation FAILED")


def test_a_bad_checksum(host: Host) -> None:
    """A bundle that is not what --sha256 says is not unpacked; both sums are named."""
    address, digest = host.upload(host.bundle())
    before = host.foreign()
    ended = host.bootstrap("--bundle", address, "--sha256", "0" * 64)
    assert_harmless(host, before, ended, f"has SHA-256 {digest}, --sha256 says {'0' * 64}")
    assert host.bootstrap("--bundle", address, "--sha256", digest.upper(), "--strict").status == 0


def test_a_damaged_bundle(host: Host) -> None:
    """Files that are not those of SHA256SUMS, and what is no bundle at all, are refused by name."""
    bundle = host.bundle()
    (bundle / "requirements.txt").write_text("something else")
    before = host.foreign()
    ended = host.bootstrap("--bundle", host.upload(bundle)[0])
    assert_harmless(host, before, ended, "requirements.txt: FAILED", "is damaged")
    (host.fake / "s3" / "junk").write_bytes(b"junk")
    assert_harmless(host, before, host.bootstrap("--bundle", "s3://junk"), "s3://junk is no readable .tar.gz")


def test_a_bundle_of_another_architecture(host: Host) -> None:
    """The message names both architectures."""
    before = host.foreign()
    ended = host.bootstrap("--bundle", host.upload(host.bundle(architecture="s390x"))[0])
    assert_harmless(host, before, ended, "this bundle is for s390x, this host is")


def test_a_version_that_cannot_be_made_leaves_nothing(host: Host) -> None:
    """What was made of it by then, which may be what fills the disk, is removed."""
    address, _ = host.upload(host.bundle())
    host.tell("pip-fails")
    before = host.foreign()
    assert_harmless(host, before, host.bootstrap("--bundle", address), "could not be installed into")
    assert list((host.root / "opt/autoscaler/versions").iterdir()) == []


def test_a_half_finished_earlier_run_is_made_good(host: Host) -> None:
    """A run that was cut off while it installed leaves nothing a later one stumbles over."""
    bundle = host.bundle()
    address, _ = host.upload(bundle)
    content = hashlib.sha256((bundle / "SHA256SUMS").read_bytes()).hexdigest()
    debris = host.write(f"opt/autoscaler/versions/1.0.0-{content[:12]}/bin/debris", "")
    (host.root / "opt/autoscaler/current.new").symlink_to("nowhere")
    ended = host.bootstrap("--bundle", address)
    assert (ended.status, host.called(STARTED)) == (0, 1)
    assert (debris.parents[1] / "complete").exists()
    assert not debris.exists()
    assert not (host.root / "opt/autoscaler/current.new").is_symlink()


def test_a_read_only_disk(host: Host) -> None:
    """A disk that cannot be written is named and nothing begun."""
    mount = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    prefix = ("/usr/bin/unshare", "--map-root-user", "--mount", "/bin/sh", "-c", mount, "sh", str(host.root))
    if subprocess.run([*prefix, "/bin/true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount in a namespace of its own")
    address, _ = host.upload(host.bundle())
    before = host.foreign()
    ended = host.bootstrap("--bundle", address, prefix=prefix)
    assert_harmless(
        host, before, ended, "Read-only file system", "no temporary folder could be made", "the installation FAILED"
    )


def test_twice_at_once(host: Host) -> None:
    """Of two that run at once the second finds the work of the first."""
    address, digest = host.upload(host.bundle())
    script = Path(__file__).parents[2] / "deploy/emr/bootstrap.sh"
    both = [host.start(script, "--bundle", address, "--sha256", digest) for _ in range(2)]
    texts = [process.communicate(timeout=25)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("is there already" in text for text in texts) == 1, texts
    assert sum("all was there already and runs" in text for text in texts) == 1
    assert host.called("python3.11 -m venv") == 1
    assert not host.called("systemctl restart")


def test_twice_changes_nothing(host: Host) -> None:
    """A second run leaves an operator's settings alone and a running service running."""
    assert bootstrapped(host).status == 0
    settings = host.root / "etc/autoscaler/autoscaler.yaml"
    settings.write_text("mode: 'act'  # since Monday\nworkers: 3\n")
    ended = host.bootstrap("--bundle", "s3://autoscaler-1.0.0.tar.gz")
    assert "all was there already and runs" in ended.text
    assert settings.read_text() == "mode: 'act'  # since Monday\nworkers: 3\n"
    assert not host.called("systemctl restart")


def test_folders_may_have_any_name(tmp_path: Path) -> None:
    """Blanks and quotes in the paths of bundle, settings and temporary files do no harm, and nothing is left behind."""
    host = Host(tmp_path / 'it\'s a "test"')
    host.upload(host.bundle())
    settings = host.fake / "my settings.yaml"
    settings.write_text("workers: 3\n")
    bundle = str(host.fake / "s3/autoscaler-1.0.0.tar.gz")
    ended = host.bootstrap("--bundle", bundle, "--config", str(settings), "--strict")
    assert (ended.status, host.called(STARTED)) == (0, 1), ended.text
    assert list((host.root / "tmp").iterdir()) == []


def test_nobody_need_listen(host: Host) -> None:
    """Whoever started it may be gone before it ends: it goes on, and ends well."""
    address, _ = host.upload(host.bundle())
    process = host.start(Path(__file__).parents[2] / "deploy/emr/bootstrap.sh", "--bundle", address)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=25) == 0
    assert host.called(STARTED) == 1


def test_root_comes_by_sudo(host: Host) -> None:
    """EMR runs it as hadoop: the work is done through sudo; if that is refused the cluster starts all the same."""
    host.tell("uid", "1000")
    before = host.foreign()
    assert bootstrapped(host).status == 0
    assert host.called("sudo -n timeout") == 1
    assert host.called(STARTED) == 1
    assert host.foreign() == before


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--bundle is missing"),
        (("--bundle",), "--bundle needs a value"),
        (("--bnudle", "x"), "unknown option --bnudle"),
        (("--bundle", "ftp://x"), "ftp://x: expected s3://..., https://... or a path"),
        (("--bundle", "/no/such/file"), "/no/such/file could not be fetched"),
    ],
)
def test_wrong_use_is_told_and_harmless(host: Host, arguments: tuple[str, ...], word: str) -> None:
    """A mistake in the bootstrap action's arguments costs the autoscaler, not the cluster; --strict makes it count."""
    before = host.foreign()
    assert_harmless(host, before, host.bootstrap(*arguments), word)
    assert host.bootstrap("--strict", *arguments).status == 1


class TestMode:
    """A first installation advises unless it is told to act; later ones leave the mode alone."""

    def test_act(self, host: Host) -> None:
        """--act is written into the settings."""
        assert bootstrapped(host, "--act").status == 0
        assert "\nmode: act\n" in host.read("etc/autoscaler/autoscaler.yaml")

    @pytest.mark.parametrize(
        "own",
        [
            "mode: act\nworkers: 3\n",
            "workers: 3\n",
            "mode : 'act'\nworkers: 3\n",
            '---\n"mode": act\nworkers: 3\n...\n',
            "---\nworkers: 3\n...\n",
            "mode:\n  act\nworkers: 3\n",
            '{"workers": 3, "mode": "act"}',
            '{"workers": 3}\n',
        ],
    )
    def test_own_settings_do_not_act_by_themselves(self, host: Host, own: str) -> None:
        """Settings given with --config advise too at first, in one run or in two, and keep all else."""
        (host.fake / "s3" / "mine.yaml").write_text(own)
        for _ in range(2):
            address = "s3://autoscaler-1.0.0.tar.gz"
            if not (host.fake / "s3" / "autoscaler-1.0.0.tar.gz").exists():
                host.upload(host.bundle())
            assert host.bootstrap("--bundle", address, "--config", "s3://mine.yaml").status == 0
            assert yaml.safe_load(host.read("etc/autoscaler/autoscaler.yaml")) == {"mode": "advise", "workers": 3}
        assert not host.called("systemctl restart")

    @pytest.mark.parametrize("own", ['{"workers": 3, "mode": "advise"}', "workers: 3\nmode:\n  advise\n"])
    def test_however_the_mode_is_written_it_stays(self, host: Host, own: str) -> None:
        """Other settings do not make a daemon act that only advised before, however its own said so."""
        assert bootstrapped(host).status == 0
        host.write("etc/autoscaler/autoscaler.yaml", own)
        (host.fake / "s3" / "mine.yaml").write_text("mode: act\nworkers: 4\n")
        ended = host.bootstrap("--bundle", "s3://autoscaler-1.0.0.tar.gz", "--config", "s3://mine.yaml")
        assert "mode: advise, as in " in ended.text
        assert host.read("etc/autoscaler/autoscaler.yaml") == "mode: advise\nworkers: 4\n"
        ended = host.bootstrap("--bundle", "s3://autoscaler-1.0.0.tar.gz", "--act")
        assert "mode: act, by --act" in ended.text
        assert host.read("etc/autoscaler/autoscaler.yaml") == "mode: act\nworkers: 4\n"

    def test_a_bad_mode_is_refused_and_not_replaced(self, host: Host) -> None:
        """A mode there is none of may mean anything."""
        (host.fake / "s3" / "mine.yaml").write_text("mode: watch\n")
        before = host.foreign()
        ended = bootstrapped(host, "--config", "s3://mine.yaml")
        assert_harmless(
            host, before, ended, "settings s3://mine.yaml are in ", "`mode` is 'watch': expected act or advise"
        )

    def test_bad_settings_change_nothing(self, host: Host) -> None:
        """Settings that cannot be used are refused with their line before the service is touched."""
        (host.fake / "s3" / "mine.yaml").write_text("nonsense: 1\n")
        before = host.foreign()
        ended = bootstrapped(host, "--config", "s3://mine.yaml")
        assert_harmless(host, before, ended, ":1: unknown setting", "cannot be used")
        assert not (host.root / "etc/autoscaler/autoscaler.yaml").exists()
