#!/bin/bash
# All tests: the fast and the slow ones, those on PostgreSQL, MariaDB and a KDC, then those on the lab with Flink 1.20 and, where
# versions differ, 1.18. Without a JDK the lab is left out, without the servers theirs, and a line says so; in CI that is
# a failure.
set -u
cd "$(dirname "$0")/.." || exit
deploy/preflight.sh lab
lab=$?
[ $lab -eq 0 ] || [ $lab -eq 3 ] || exit $lab
make --no-print-directory setup || exit 1

failed=0
HYPOTHESIS_PROFILE=thorough .venv/bin/pytest -m "not e2e and not slow and not servers" -n 3 || failed=1
.venv/bin/pytest -m "slow and not servers" -n 2 || failed=1
if [ -x "$(command -v mariadbd || echo /usr/sbin/mariadbd)" ] && ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    .venv/bin/pytest -m servers --ignore tests/adapters || failed=1
else
    echo "LEFT OUT: the store's tests on database servers (apt-get install postgresql mariadb-server)"
    [ "${CI:-}" != true ] || failed=1
fi
[ -n "${MYSQLD:-}" ] || echo "LEFT OUT: the store's tests on MySQL 8 (MYSQLD names its mysqld; .ci/run shows whence to have one)"
if [ -x "$(command -v krb5kdc || echo /usr/sbin/krb5kdc)" ] && .venv/bin/python -c 'import gssapi' 2>/dev/null; then
    .venv/bin/pytest -m servers tests/adapters || failed=1
else
    echo "LEFT OUT: Kerberos on a real KDC (apt-get install krb5-kdc krb5-admin-server libkrb5-dev gcc," \
        "pip install -r requirements-kerberos.lock)"
    [ "${CI:-}" != true ] || failed=1
fi
if [ $lab -eq 3 ]; then
    echo "LEFT OUT: the end-to-end tests on the lab (no JDK 17 with Maven; see above how to install them)"
    [ "${CI:-}" != true ] || exit 1
    exit $failed
fi
FLINK=1.20 .venv/bin/pytest -m e2e --durations=0 --durations-min=5 tests/e2e || failed=1
FLINK=1.18 .venv/bin/pytest -m "e2e and versions_differ" --durations=0 --durations-min=5 tests/e2e || failed=1
exit $failed
