#!/bin/bash
# Creates .venv from requirements.lock (hashes checked) and installs the project into it, editable.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(deploy/preflight.sh python)
echo "setup: $("$python" --version) -> .venv" >&2
"$python" -m venv --clear .venv
packages=$(grep -c '==' requirements.lock)
echo "setup: installing $packages packages from requirements.lock" >&2
.venv/bin/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.lock |
    awk -v all="$packages" '
        /^Collecting / && ++seen % 10 == 0 { print "setup: " seen " of " all " packages" }
        /^Installing collected packages/ { print "setup: all are there, unpacking them" }
        { fflush() }' >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
echo "setup: done, the command is .venv/bin/autoscaler" >&2
