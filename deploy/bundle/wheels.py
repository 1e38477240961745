"""The wheels and sources that a target host needs, which is seldom the host they are collected on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTHON = "3.11"
GLIBC_MINOR = 28  # RHEL 8; Amazon Linux 2023 has 2.34, Debian 11 2.31
# pip asks a source distribution for its metadata even to fetch it, and gssapi's answer would ask for Kerberos here
UNBUILT = {"GSSAPI_LINKER_ARGS": "", "GSSAPI_COMPILER_ARGS": "", "GSSAPI_SUPPORT_DETECT": "false"}


class BuildError(Exception):
    """Something to build from is missing; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A Linux host to install on; ``architecture`` is as ``uname -m`` says it."""

    architecture: str

    @property
    def markers(self) -> Mapping[str, str]:
        """What environment markers (PEP 508) are about, as that host's Python would answer."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{PYTHON}.0",
            "os_name": "posix",
            "platform_machine": self.architecture,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{PYTHON}.0",
            "python_version": PYTHON,
            "sys_platform": "linux",
            "extra": "",
        }

    @property
    def platforms(self) -> tuple[str, ...]:
        """Platform tags of wheels that run there, newest first; pip does not derive the older ones itself."""
        perennial = [f"manylinux_2_{minor}_{self.architecture}" for minor in range(GLIBC_MINOR, 16, -1)]
        return (*perennial, f"manylinux2014_{self.architecture}")


def needed(project: str, target: Target) -> tuple[str, ...]:
    """The names of all packages the project, or ``project[extra]``, needs on the target, sorted, itself left out.

    Follows what the installed packages say they require. Raises BuildError if one the target needs is not installed
    here.
    """
    found: set[str] = set()
    waiting = [Requirement(project)]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        for listed in _requires(name):
            requirement = Requirement(listed)
            extras = {"", *wanted.extras}
            marker = requirement.marker
            if marker and not any(marker.evaluate({**target.markers, "extra": extra}) for extra in extras):
                continue
            if canonicalize_name(requirement.name) not in found or requirement.extras:
                found.add(canonicalize_name(requirement.name))
                waiting.append(requirement)
    return tuple(sorted(found))


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError as error:
        raise BuildError(f"{name} is needed on the target and not installed here; run `make setup`") from error


def locked(lock: str) -> dict[str, str]:
    """The lock file's entries by canonical name, each with its hashes and without its marker."""
    entries: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", lock.strip()):
        head, *hashes = entry.split(" \\\n")
        pin = head.partition(";")[0].strip()
        entries[canonicalize_name(pin.partition("==")[0])] = " ".join([pin, *(line.strip() for line in hashes)])
    return entries


def download(names: Sequence[str], lock: Path, target: Target, folder: Path) -> None:
    """Fetch one wheel per name, in the locked version and checked by its hash. Raises BuildError."""
    options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON]
    _fetch(names, lock, folder, [*options, *_abis(), *_platforms(target)])


def download_sources(names: Sequence[str], lock: Path, folder: Path) -> None:
    """Fetch one source distribution per name, which every target has alike; otherwise as ``download``."""
    _fetch(names, lock, folder, ["--no-binary", ":all:"])


def _fetch(names: Sequence[str], lock: Path, folder: Path, options: Sequence[str]) -> None:
    entries = locked(lock.read_text(encoding="utf-8"))
    missing = [name for name in names if name not in entries]
    if missing:
        raise BuildError(f"{lock.name} has no {', '.join(missing)}; bring it up to date as CONTRIBUTING.md says")
    wanted = folder / "wanted.txt"
    wanted.write_text("".join(f"{entries[name]}\n" for name in names), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--dest", str(folder), "--requirement", str(wanted), *options]
    try:
        subprocess.run(command, check=True, env=os.environ | UNBUILT)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"pip could not fetch a package of {lock.name}; see above") from error
    finally:
        wanted.unlink()


def _abis() -> Iterator[str]:
    for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none"):
        yield from ("--abi", abi)


def _platforms(target: Target) -> Iterator[str]:
    for platform in target.platforms:
        yield from ("--platform", platform)
