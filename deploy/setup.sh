#!/bin/sh
# Creates .venv from requirements.lock (hashes checked) and installs the project into it, editable.
set -eu
cd "$(dirname "$0")/.."
python=$(deploy/preflight.sh python)
echo "setup: $("$python" --version) -> .venv" >&2
"$python" -m venv --clear .venv
echo "setup: installing $(grep -c '==' requirements.lock) packages from requirements.lock" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "setup: done, the command is .venv/bin/autoscaler" >&2
