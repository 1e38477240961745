#!/bin/bash
# uninstall.sh [--purge]
#
# Ends the service and removes all of the autoscaler but its store in /var/lib/autoscaler; --purge removes that too, with
# the system user. Jobs go on at the parallelism they have.
set -u
PROGRAM=uninstall
# shellcheck source=deploy/emr/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

remove() {
    rm -rf "$@" || fail "not all of this could be removed: $*"
}

main() {
    local purge=no
    case $# in
        0) ;;
        *)
            [ "$*" = --purge ] || {
                say "usage: uninstall.sh [--purge]"
                exit 2
            }
            purge=yes
            ;;
    esac
    need_root
    take_turn
    if [ -e "$UNIT" ]; then
        systemctl disable --now "$SERVICE" || fail "$SERVICE could not be ended; nothing was removed"
    fi
    remove "$UNIT" "$DROP_INS" "$LOGROTATE" "$LOGPUSHER" "$COMMAND" "$HOME_FOLDER" "$(dirname "$SETTINGS")" "$LOGS"
    systemctl daemon-reload || fail "systemctl daemon-reload failed"
    # else `systemctl --failed` would go on to list a service that had failed
    systemctl reset-failed "$SERVICE" 2>/dev/null
    if [ $purge = yes ]; then
        remove "$STATE" "$SYSUSERS"
        ! getent passwd autoscaler >/dev/null || userdel autoscaler || fail "the user autoscaler could not be removed"
        say "removed, the store too"
    else
        say "removed; the store stays in $STATE"
    fi
}

main "$@"
exit
