"""A host as EMR leaves it when bootstrap actions run: a folder for its disk, and stand-ins for the programs that would
act on the machine itself."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "deploy" / "emr"
OURS = ("opt/", "usr/bin/autoscaler", "etc/autoscaler/", "etc/systemd/", "usr/lib/sysusers.d/", "run/", "tmp/")
OURS += ("etc/logrotate.d/", "etc/logpusher/", "var/lib/autoscaler/", "var/log/autoscaler/")

# Each notes how it was called. What it answers is decided by files beside the note.
STAND_INS = {
    "id": 'cat "$FAKE/uid"',
    "sudo": 'note; echo 0 >"$FAKE/uid"; shift; "$@"; status=$?; echo 1000 >"$FAKE/uid"; exit $status',
    "aws": """note
[ ! -e "$FAKE/hanging" ] || exec /bin/sleep 60
[ ! -e "$FAKE/no-network" ] || { echo 'Could not connect to the endpoint URL' >&2; exit 1; }
cp "$FAKE/s3/${4#s3://}" "$5" """,
    "curl": 'note; echo "curl: (6) Could not resolve host" >&2; exit 6',
    "dnf": """note
[ ! -e "$FAKE/no-network" ] || { echo 'Errors during downloading metadata' >&2; exit 1; }
rm "$FAKE/no-python" """,
    "timeout": 'shift 2; exec /usr/bin/timeout --kill-after=1 "$(cat "$FAKE/limit")" "$@"',
    "sleep": "",
    "chown": "note",
    "getent": "note; exit 2",
    "systemd-sysusers": "note",
    "systemctl": """note
state=$(cat "$FAKE/state")
current=$(readlink "$AUTOSCALER_ROOT/opt/autoscaler/current")
start() {
    state=active
    for bad in $(cat "$FAKE/unready"); do case $current in *"$bad"*) state=$(cat "$FAKE/unready-state") ;; esac; done
    if [ $state != active ]; then echo migrated >"$AUTOSCALER_ROOT$(cat "$FAKE/store")"; fi
}
case "$*" in
    "is-active --quiet"*) [ "$state" = active ]; exit ;;
    is-active*)
        echo "$state"
        if [ "$state" = activating ] && [ -e "$FAKE/kill" ]; then kill -TERM "$PPID"; fi
        exit ;;
    daemon-reload | reset-failed*) ;;
    stop* | disable*)
        state=inactive
        [ ! -e "$FAKE/kill-at-stop" ] || kill -TERM "$PPID" ;;
    enable* | start* | restart*) start ;;
esac
echo "$state" >"$FAKE/state" """,
    "gcc": '[ ! -e "$FAKE/no-gcc" ]',
    "krb5-config": '[ ! -e "$FAKE/no-krb5" ]',
    "python3.11": """note
[ ! -e "$FAKE/no-python" ] || exit 1
case "$*" in *Python.h*) [ ! -e "$FAKE/no-headers" ]; exit ;; esac
[ "$2" != venv ] || { mkdir -p "$3/bin" && cp "$FAKE/venv-python" "$3/bin/python"; }""",
}
# What a virtual environment's pip installs: a command that knows good settings from bad ones, and the package itself to
# be asked what settings say.
VENV_PYTHON = r"""#!/bin/bash
case "$*" in
    *file_of*) cat "$FAKE/store"; exit "$(cat "$FAKE/settings-status")" ;;
    *written_mode*) exec "$(cat "$FAKE/python")" "$@" ;;
esac
[ ! -e "$FAKE/pip-fails" ] || exit 1
echo "pip ${@: -1}" >>"$FAKE/calls"
printf '#!/bin/bash\n! grep -q nonsense "$3" || { echo "$3:1: unknown setting" >&2; exit 2; }\n' \
    >"$(dirname "$0")/autoscaler"
chmod +x "$(dirname "$0")/autoscaler"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a script ended."""

    status: int
    text: str


class Host:
    """One host with its disk below ``root``; ``role`` is what EMR's files say of it."""

    def __init__(self, folder: Path, role: str = "master", masters: int = 1) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.fake = folder / "fake"
        self._programs = folder / "programs"
        (self.fake / "s3").mkdir(parents=True)
        self._programs.mkdir()
        (self.root / "tmp").mkdir(parents=True)
        info = {"isMaster": role == "master", "isRunningNameNode": role == "master"}
        self.write("mnt/var/lib/info/instance.json", json.dumps(info, indent=2))
        extra = {"jobFlowId": "j-1", "instanceRole": role, "haEnabled": masters > 1}
        self.write("emr/instance-controller/lib/info/extraInstanceData.json", json.dumps(extra))
        self.write("etc/systemd/system/instance-controller.service", "[Service]\nExecStart=/bin/true\n")
        for name, value in (("state", "inactive"), ("unready", ""), ("unready-state", "activating")):
            self.tell(name, value)
        self.tell("uid", "0")
        self.tell("store", "/var/lib/autoscaler/autoscaler.db")
        self.tell("settings-status", "0")
        self.tell("limit", "30")
        self.tell("python", sys.executable)
        self.tell("venv-python", VENV_PYTHON)
        (self.fake / "venv-python").chmod(0o755)
        for name, body in STAND_INS.items():
            program = self._programs / name
            text = f'#!/bin/bash\ncall="{name} $*"\nnote() {{ echo "$call" >>"$FAKE/calls"; }}\n{body}\n'
            program.write_text(text)
            program.chmod(0o755)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def tell(self, name: str, value: str = "") -> None:
        """Decide what a stand-in answers."""
        (self.fake / name).write_text(value)

    def has_apt(self) -> None:
        """From now on packages come by apt-get, as on Debian."""
        (self._programs / "dnf").rename(self._programs / "apt-get")

    @property
    def calls(self) -> list[str]:
        """What the stand-ins were asked to do, in order."""
        file = self.fake / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def called(self, start: str) -> int:
        return sum(call.startswith(start) for call in self.calls)

    @property
    def version(self) -> str:
        """The installed version, by its folder's name."""
        return (self.root / "opt/autoscaler/current").readlink().name

    def foreign(self) -> dict[str, bytes]:
        """Every file that is not ours, with its content."""
        files = [file for file in self.root.rglob("*") if file.is_file()]
        named = {str(file.relative_to(self.root)): file for file in files}
        return {
            name: file.read_bytes()
            for name, file in named.items()
            if not name.startswith(OURS) or "instance-controller" in name
        }

    def bundle(self, version: str = "1.0.0", architecture: str | None = None) -> Path:
        """An unpacked bundle without real wheels."""
        base = self.folder / f"autoscaler-{version}"
        base.mkdir()
        for script in SCRIPTS.glob("*.sh"):
            shutil.copy(script, base)
        shutil.copytree(REPOSITORY / "systemd", base / "systemd")
        shutil.copy(REPOSITORY / "conf" / "autoscaler.yaml", base)
        (base / "VERSION").write_text(f"{version}\n")
        (base / "ARCHITECTURE").write_text(f"{architecture or platform.machine()}\n")
        (base / "EMR.md").write_text("")
        for extra in ("", "-postgresql", "-mysql", "-kerberos"):
            (base / f"requirements{extra}.txt").write_text("")
        (base / "wheels").mkdir()
        files = sorted(file for file in base.rglob("*") if file.is_file())
        sums = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(base)}\n" for file in files]
        (base / "SHA256SUMS").write_text("".join(sums))
        return base

    def upload(self, bundle: Path) -> tuple[str, str]:
        """Put a bundle where the stand-in of S3 looks; returns its address and its checksum."""
        archive = self.fake / "s3" / f"{bundle.name}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(bundle, bundle.name)
        return f"s3://{archive.name}", hashlib.sha256(archive.read_bytes()).hexdigest()

    def start(self, script: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*prefix, "/bin/bash", str(script), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                "PATH": f"{self._programs}:/usr/bin:/bin:/usr/sbin:/sbin",
                "AUTOSCALER_ROOT": str(self.root),
                "FAKE": str(self.fake),
                "TMPDIR": str(self.root / "tmp"),
                "HOME": os.environ.get("HOME", "/"),
            },
        )

    def run(self, script: Path, *arguments: str, prefix: tuple[str, ...] = ()) -> Ended:
        with self.start(script, *arguments, prefix=prefix) as process:
            text, _ = process.communicate(timeout=25)
        return Ended(status=process.returncode, text=text)

    def bootstrap(self, *arguments: str, prefix: tuple[str, ...] = ()) -> Ended:
        return self.run(SCRIPTS / "bootstrap.sh", *arguments, prefix=prefix)
