#!/bin/bash
# install.sh [--config FILE] [--act] [--postgresql] [--mysql] [--kerberos]
#
# Installs the autoscaler from the unpacked bundle this script lies in, as a systemd service, on an EMR master or any
# other host that reaches YARN. Run it as often as you like.
#
#   --config FILE  settings instead of those that are there
#   --act          rescale jobs; without it a first installation only advises, and a later one leaves the mode alone
#   --postgresql   the driver for a store on PostgreSQL; later versions have it too
#   --mysql        the driver for a store on MySQL or MariaDB; likewise
#   --kerberos     the binding to Kerberos; likewise. It is built here: needs gcc, krb5-devel and python3.11-devel
#
# Exit status: 0 installed, 1 not installed, 2 wrong usage. The service is started without waiting for it.
set -u
umask 022
PROGRAM=install
BUNDLE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/emr/common.sh
. "$BUNDLE/common.sh"

config=''
act=no
extras=()

usage() {
    say "usage: install.sh [--config FILE] [--act] [--postgresql] [--mysql] [--kerberos]"
    exit 2
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --config)
                [ $# -ge 2 ] || usage
                config=$2
                shift
                ;;
            --act) act=yes ;;
            --postgresql | --mysql | --kerberos) extras+=("${1#--}") ;;
            *) usage ;;
        esac
        shift
    done
    [ -z "$config" ] || [ -r "$config" ] || fail "--config $config cannot be read"
}

# How YAML lets the line with the mode begin.
readonly MODE="^[\"']\{0,1\}mode[\"']\{0,1\}[[:space:]]*:"

# The mode a settings file asks for; act is what holds without one.
mode_of() {
    local mode
    mode=$(sed -n "s/${MODE}[[:space:]]*[\"']\{0,1\}\([a-z]*\).*/\1/p" "$1")
    echo "${mode:-act}"
}

set_mode() {
    local file=$1 mode=$2
    [ "$(mode_of "$file")" != "$mode" ] || return 0
    if grep -q "$MODE" "$file"; then
        sed -i "s/$MODE.*/mode: $mode/" "$file"
    else
        printf '\nmode: %s\n' "$mode" >>"$file"
    fi
}

# Writes the settings to come into a file; what cannot be used is refused before anything of the service changes.
prepare_settings() {
    local version=$1 file=$2 mode=advise source=$BUNDLE/autoscaler.yaml
    if [ -e "$SETTINGS" ]; then
        source=$SETTINGS
        mode=$(mode_of "$SETTINGS")
    fi
    [ $act = no ] || mode=act
    [ -z "$config" ] || source=$config
    cp "$source" "$file" || fail "$source cannot be read"
    set_mode "$file" "$mode"
    "$version/bin/autoscaler" check-config --config "$file" >/dev/null
    [ $? -ne 2 ] || fail "the settings in $source cannot be used; see above"
    say "mode: $mode"
}

# Status 0 if the settings changed.
place_settings() {
    local file=$1
    if cmp -s "$file" "$SETTINGS"; then
        return 1
    fi
    if [ -e "$SETTINGS" ]; then
        cp -p "$SETTINGS" "$SETTINGS.before" || fail "$SETTINGS.before cannot be written"
        say "the former settings are kept as $SETTINGS.before"
    fi
    install -D -m 640 "$file" "$SETTINGS" && chown root:autoscaler "$SETTINGS" || fail "$SETTINGS cannot be written"
    say "wrote $SETTINGS"
}

main() {
    parse "$@"
    need_root
    take_turn
    verify_bundle
    local version scratch changed=no running=no
    local -a kept
    version=$(version_folder)
    scratch=$(mktemp -d) || fail "no temporary folder could be made"
    # shellcheck disable=SC2064 # the folder of now
    trap "rm -rf '$scratch'" EXIT
    mapfile -t kept < <(extras_of "$(readlink "$CURRENT")")
    extras+=("${kept[@]}")
    check_extras "$version" "${extras[@]}"
    build_version "$version"
    ! add_extras "$version" "${extras[@]}" || changed=yes
    prepare_settings "$version" "$scratch/autoscaler.yaml"

    [ "$(readlink "$CURRENT")" = "$version" ] || changed=yes
    ! is_running || running=yes
    place_service "$version"
    ! place_settings "$scratch/autoscaler.yaml" || changed=yes
    switch_to "$version"
    systemctl enable --now --no-block "$SERVICE" || fail "$SERVICE could not be started; see: systemctl status $SERVICE"
    if [ $running = no ]; then
        say "started $SERVICE; it waits by itself until YARN answers: systemctl status $SERVICE"
    elif [ $changed = yes ]; then
        systemctl restart --no-block "$SERVICE" || fail "$SERVICE could not be restarted"
        say "restarted $SERVICE with what is new"
    else
        say "all was there already and runs"
    fi
}

main "$@"
exit
