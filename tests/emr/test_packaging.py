"""What ``make dist`` builds: the same bytes each time, for both architectures, and a bundle that installs offline."""

from __future__ import annotations

import email
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from bundle.__main__ import BUILT_WITH
from bundle.archive import checksums, digest, pack
from bundle.wheels import BuildError, Target, locked, needed
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import autoscaler
from tests.emr.host import REPOSITORY

ARCHITECTURES = ("x86_64", "aarch64")
needs_build_tools = pytest.mark.skipif(
    None in (shutil.which("gcc"), shutil.which("krb5-config")), reason="apt-get install gcc libkrb5-dev"
)


def test_an_archive_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    """Owner, mode, times and the order on disk leave no trace; only scripts are executable."""
    archives = []
    for turn, names in enumerate((["a.sh", "b.txt", "c"], ["c", "b.txt", "a.sh"])):
        folder = tmp_path / str(turn) / "thing"
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(name)
            os.utime(folder / name, (turn, turn))
            (folder / name).chmod(0o600 + turn)
        archives.append(tmp_path / f"{turn}.tar.gz")
        pack(folder, archives[-1], 1_000_000_000)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with tarfile.open(archives[0]) as tar:
        found = [(entry.name, entry.mode, entry.mtime, entry.uid, entry.uname) for entry in tar]
    assert found == [
        ("thing", 0o755, 1_000_000_000, 0, "root"),
        ("thing/a.sh", 0o755, 1_000_000_000, 0, "root"),
        ("thing/b.txt", 0o644, 1_000_000_000, 0, "root"),
        ("thing/c", 0o644, 1_000_000_000, 0, "root"),
    ]


def test_checksums_are_those_sha256sum_checks(tmp_path: Path) -> None:
    """The format is that of sha256sum, sorted by name."""
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    (tmp_path / "SHA256SUMS").write_text(checksums(tmp_path.iterdir(), tmp_path))
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "a: OK\nb: OK\n")


def test_a_lock_file_is_read_entry_by_entry() -> None:
    """A pin keeps its hashes and loses its marker, which the target decides about."""
    first = "A.b==1 ; sys_platform == 'win32' \\\n    --hash=sha256:1 \\\n    --hash=sha256:2\n"
    text = first + "c==2 \\\n    --hash=sha256:3\n"
    assert locked(text) == {"a-b": "A.b==1 --hash=sha256:1 --hash=sha256:2", "c": "c==2 --hash=sha256:3"}


def test_what_a_target_needs_is_decided_by_its_markers() -> None:
    """Linux needs no time zones and colours of Windows', and nothing that only developers use."""
    names = needed("flink-yarn-autoscaler", Target(architecture="aarch64"))
    assert {"sqlalchemy", "pydantic-core", "tzlocal", "urllib3"} <= set(names)
    assert not {"tzdata", "colorama", "pytest", "flink-yarn-autoscaler"} & set(names)
    assert set(names) <= set(locked((REPOSITORY / "requirements.lock").read_text()))


def test_what_is_not_installed_here_is_named() -> None:
    """A package whose own needs cannot be known ends the build."""
    with pytest.raises(BuildError, match="no-such-package is needed on the target and not installed here"):
        needed("no-such-package", Target(architecture="x86_64"))


def build(folder: Path) -> Path:
    """Run ``make dist`` into a folder."""
    environment = os.environ | {"PYTHONPATH": "deploy", "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-m", "bundle", str(folder)]
    subprocess.run(command, check=True, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE)
    return folder


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist") / "first")


def unpacked(dist: Path, architecture: str, folder: Path) -> Path:
    name = f"autoscaler-{autoscaler.__version__}-linux-{architecture}"
    with tarfile.open(dist / f"{name}.tar.gz") as tar:
        tar.extractall(folder, filter="data")
    return folder / name


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestDist:
    def test_two_builds_give_the_same_bytes(self, dist: Path, tmp_path: Path) -> None:
        """Every published file comes out the same, and its checksum stands in SHA256SUMS."""
        again = build(tmp_path / "second")
        names = sorted(file.name for file in dist.iterdir())
        assert {file.name: digest(file) for file in dist.iterdir()} == {f.name: digest(f) for f in again.iterdir()}
        version = autoscaler.__version__
        assert names == [
            "SHA256SUMS",
            f"autoscaler-{version}-linux-aarch64.tar.gz",
            f"autoscaler-{version}-linux-x86_64.tar.gz",
            "bootstrap.sh",
            f"flink_yarn_autoscaler-{version}-py3-none-any.whl",
            f"flink_yarn_autoscaler-{version}.tar.gz",
        ]
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=dist, check=True)

    @pytest.mark.parametrize("architecture", ARCHITECTURES)
    def test_a_bundle_is_complete(self, dist: Path, tmp_path: Path, architecture: str) -> None:
        """Each wheel fits the target, its hash is pinned, and what it requires there is in the bundle too."""
        base = unpacked(dist, architecture, tmp_path)
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=base, check=True)
        wheels = sorted((base / "wheels").glob("*.whl"))
        listed = [base / f"requirements{extra}.txt" for extra in ("", "-postgresql", "-mysql", "-kerberos")]
        pins = "".join(file.read_text() for file in listed)
        versions = {}
        for wheel in wheels:
            name, version, *_, abi, tags = wheel.stem.split("-")
            versions[canonicalize_name(name)] = version
            if name not in BUILT_WITH:
                assert f"{name}=={version} --hash=sha256:{digest(wheel)}\n" in pins
            assert tags == "any" or all(tag.endswith(architecture) for tag in tags.split(".")), wheel.name
            assert abi in ("none", "abi3", "cp311")
        (source,) = (base / "wheels").glob("*.tar.gz")
        assert f"gssapi=={source_version(source)} --hash=sha256:{digest(source)}\n" in pins
        assert len(pins.splitlines()) == len(wheels) - len(BUILT_WITH) + 1
        assert {requirement.name.lower() for requirement in built_with(source)} == {*BUILT_WITH}
        for package in (*wheels, source):
            for requirement in [*requirements(package), *(built_with(source) if package == source else [])]:
                if requirement.marker is None or requirement.marker.evaluate(
                    dict(Target(architecture=architecture).markers)
                ):
                    assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])
        for name in ("install.sh", "upgrade.sh", "uninstall.sh", "bootstrap.sh", "common.sh"):
            assert os.access(base / name, os.X_OK)
        for name in ("autoscaler.yaml", "EMR.md", "LICENSE", "systemd/autoscaler.service", "systemd/logpusher.config"):
            assert (base / name).is_file()

    def test_the_bundle_of_this_machine_installs_without_a_network(self, dist: Path, tmp_path: Path) -> None:
        """With the real Python 3.11 and pip: the command runs and reads the installed settings, the drivers of database
        servers come when they are asked for and stay through an upgrade, and settings an upgrade cannot use stop it."""
        root = tmp_path / "root"
        environment = offline(tmp_path, root)
        base = unpacked(dist, platform.machine(), tmp_path)
        ended = subprocess.run([str(base / "install.sh")], env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        command = [str(root / "usr/bin/autoscaler")]
        version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        assert version.stdout == f"autoscaler {autoscaler.__version__}\n"
        settings = root / "etc/autoscaler/autoscaler.yaml"
        subprocess.run([*command, "check-config", "--config", str(settings)], capture_output=True, check=True)
        assert "\nmode: advise\n" in settings.read_text()

        python = root / "opt/autoscaler/current/bin/python"
        drivers = [str(python), "-c", "import psycopg, pymysql"]
        assert subprocess.run(drivers, capture_output=True).returncode == 1
        (base / "VERSION").write_text("99.0.0\n")
        files = [file for file in base.rglob("*") if file.is_file() and file.name != "SHA256SUMS"]
        (base / "SHA256SUMS").write_text(checksums(files, base))
        install = [str(base / "install.sh"), "--postgresql", "--mysql"]
        ended = subprocess.run(install, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        subprocess.run(drivers, check=True)

        settings.write_text(settings.read_text().replace("mode: advise", "mode: nonsense"))
        (base / "VERSION").write_text("99.1.0\n")
        (base / "SHA256SUMS").write_text(checksums(files, base))
        refused = subprocess.run([str(base / "upgrade.sh")], env=environment, capture_output=True, text=True)
        assert refused.returncode == 1
        assert "`mode` is 'nonsense'" in refused.stderr
        settings.write_text(settings.read_text().replace("mode: nonsense", "mode: act"))
        ended = subprocess.run([str(base / "upgrade.sh")], env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert python.resolve().exists()
        subprocess.run(drivers, check=True)

    @needs_build_tools
    def test_the_binding_to_kerberos_is_built_without_a_network(self, dist: Path, tmp_path: Path) -> None:
        """The bundle has its sources and all that builds them but compiler and headers; what comes of it can be used,
        and nothing of the building stays."""
        root, base = tmp_path / "root", unpacked(dist, platform.machine(), tmp_path)
        install = [str(base / "install.sh"), "--kerberos"]
        ended = subprocess.run(install, env=offline(tmp_path, root), capture_output=True, text=True)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        python = str(root / "opt/autoscaler/current/bin/python")
        subprocess.run([python, "-c", "import gssapi; gssapi.Name('a@B')"], check=True)
        assert subprocess.run([python, "-c", "import Cython"], capture_output=True).returncode == 1
        assert list((tmp_path / "tmp").iterdir()) == []


def offline(folder: Path, root: Path) -> dict[str, str]:
    """The environment of an installation below ``root``, with no way out and nobody to start services."""
    programs = folder / "programs"
    programs.mkdir()
    (folder / "tmp").mkdir()
    for name in ("systemctl", "systemd-sysusers", "chown", "id"):
        (programs / name).write_text(f"#!/bin/bash\n[ {name} != systemctl ] || [ $1 != is-active ] || exit 3\necho 0\n")
        (programs / name).chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "AUTOSCALER_ROOT": str(root),
        "PIP_CONFIG_FILE": os.devnull,
        "https_proxy": "http://127.0.0.1:9",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
    }


def source_version(source: Path) -> str:
    return source.name.removesuffix(".tar.gz").rpartition("-")[2]


def in_source(source: Path, name: str) -> str:
    with tarfile.open(source) as content:
        file = content.extractfile(f"{source.name.removesuffix('.tar.gz')}/{name}")
        assert file is not None
        return file.read().decode()


def built_with(source: Path) -> list[Requirement]:
    """What a source distribution says it is built with."""
    declared = tomllib.loads(in_source(source, "pyproject.toml"))
    return [Requirement(text) for text in declared["build-system"]["requires"]]


def requirements(package: Path) -> list[Requirement]:
    """What a wheel or a source distribution says it requires."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as content:
            # those of what it brings along itself lie deeper
            (name,) = [n for n in content.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1]
            text = content.read(name).decode()
    else:
        text = in_source(package, "PKG-INFO")
    return [Requirement(text) for text in email.message_from_string(text).get_all("Requires-Dist", [])]
