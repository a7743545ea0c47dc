#!/usr/bin/env bash
# What docs/deploying.md says of systemd, with systemd's own tools: the units of examples/systemd
# are right, and a socket that systemd-socket-activate holds is served, listed, and handed to a
# successor. Needs systemd's tools; nothing has to run under systemd. Exit code 3 if they are not
# there.
#
# Usage: ci/deploying.sh
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { echo "$0: $*" >&2; exit 1; }

for tool in systemd-socket-activate systemd-analyze; do
    if ! command -v "$tool" >/dev/null; then
        echo "$0: needs $tool (the package systemd)" >&2
        exit 3
    fi
done

cargo build --quiet --locked -p slipring-cli
slipring=$PWD/target/debug/slipring
place=$(mktemp -d)
export XDG_RUNTIME_DIR=$place
services=()
end() {
    for service in "${services[@]}"; do kill "$service" 2>/dev/null || true; done
    rm -rf "$place"
}
trap end EXIT

# Waits until a command succeeds.
wait_for() {
    for _ in $(seq 1 1000); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.01
    done
    fail "it has not come about: $*"
}

echo '== the units'
mkdir "$place/units"
for unit in examples/systemd/*; do
    sed "s:/usr/local/bin/slipring:$slipring:" "$unit" > "$place/units/${unit##*/}"
done
said=$(systemd-analyze verify "$place"/units/* 2>&1) || fail "$said"
[[ -z $(grep "$place" <<< "$said") ]] || fail "$said"

echo '== a name whose socket is held for the service'
mkdir -m 700 "$place/slipring"
socket=$place/slipring/prices.sock
systemd-socket-activate --listen="$socket" -E XDG_RUNTIME_DIR \
    "$slipring" listen -v --keep prices -- cat 2> "$place/said" &
services+=($!)
service=$!
wait_for test -S "$socket"
# The service starts with its first client.
[[ $(echo one | "$slipring" connect prices) == one ]] || fail 'no answer'
listed=$("$slipring" ls)
grep -q "prices .* live (activated) .* $service " <<< "$listed" || fail "$listed"
refused=$("$slipring" listen prices 2>&1) && fail 'the name was bound twice'
grep -q "process $service, and a service manager holds its socket" <<< "$refused" || fail "$refused"

echo '== it is replaced'
kill -USR2 "$service"
wait_for grep -q 'replaced by process' "$place/said"
successor=$(grep -o 'replaced by process [0-9]*' "$place/said" | grep -o '[0-9]*$')
services+=("$successor")
wait "$service" || fail "the predecessor: $?"
[[ $(echo two | "$slipring" connect prices) == two ]] || fail 'no answer of the successor'
listed=$("$slipring" ls)
grep -q "prices .* live (activated) .* $successor " <<< "$listed" || fail "$listed"

echo '== a TCP port'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
systemd-socket-activate --listen="127.0.0.1:$port" -E XDG_RUNTIME_DIR \
    "$slipring" forward "tcp-listen:127.0.0.1:$port" slip:prices 2> "$place/said-tcp" &
services+=($!)
tcp=$!
answer() { [[ $(echo three | "$slipring" forward - "tcp:127.0.0.1:$port") == three ]]; }
wait_for answer
kill -USR2 "$tcp"
wait_for grep -q 'replaced by process' "$place/said-tcp"
services+=("$(grep -o 'replaced by process [0-9]*' "$place/said-tcp" | grep -o '[0-9]*$')")
answer || fail 'no answer over TCP after the replacement'
echo 'all is as described'
