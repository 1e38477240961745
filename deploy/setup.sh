#!/bin/sh
# Creates .venv from requirements.lock (hashes checked) and installs the project into it, editable.
set -eu
cd "$(dirname "$0")/.."
for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "${python:-}" ]; then
    echo "setup: no Python >= 3.11 with venv found (looked for \$PYTHON, python3.13, python3.12, python3.11, python3)." >&2
    echo "  Debian:            apt-get install python3 python3-venv" >&2
    echo "  Amazon Linux 2023: dnf install python3.11" >&2
    exit 1
fi
echo "setup: $("$python" --version) -> .venv" >&2
"$python" -m venv --clear .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "setup: done, .venv/bin/autoscaler" >&2
