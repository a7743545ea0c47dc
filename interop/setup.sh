#!/usr/bin/env bash
# Installs what the tests of interop start themselves, Redis and PostgreSQL, from the packages of
# Debian or Ubuntu. Does nothing where they are there already. Leaves no service running, and none
# that starts with the machine.
set -euo pipefail

fail() { printf 'interop/setup.sh: %s\n' "$*" >&2; exit 1; }

packages=() services=()
if ! command -v redis-server >/dev/null; then
    packages+=(redis-server) services+=(redis-server)
fi
# Debian keeps PostgreSQL's programs out of PATH.
if ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null &&
    ! command -v initdb >/dev/null; then
    packages+=(postgresql) services+=(postgresql)
fi
if ! command -v setpriv >/dev/null; then
    packages+=(util-linux)
fi
if [[ ${#packages[@]} -eq 0 ]]; then
    echo 'interop/setup.sh: redis-server, PostgreSQL and setpriv are there'
    exit 0
fi

command -v apt-get >/dev/null ||
    fail "there is no apt-get here; install what provides ${packages[*]} by hand"
[[ $EUID -eq 0 ]] || fail "only root can install ${packages[*]}: sudo ${BASH_SOURCE[0]}"
echo "interop/setup.sh: installing ${packages[*]}"

# A package's installation asks this program before it starts a service; 101 says no. A machine that
# has such a program decides for itself.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${packages[@]}" \
    >/dev/null
if [[ -d /run/systemd/system && ${#services[@]} -gt 0 ]]; then
    systemctl --quiet disable --now "${services[@]}"
fi
