#!/usr/bin/env bash
# Replaces a server again and again while clients connect all the time: none may be refused, and
# none may be served half-way. (The tests do the same with 40 clients and 6 restarts.)
#
# Usage: ci/restarts.sh [clients] [restarts]      default: 1000 50
set -euo pipefail
cd "$(dirname "$0")/.."

clients=${1:-1000} restarts=${2:-50}
for number in "$clients" "$restarts"; do
    if ! [[ $number =~ ^[1-9][0-9]{0,4}$ ]]; then
        echo "$0: \"$number\" is no number; usage: $0 [clients] [restarts]" >&2
        exit 2
    fi
done
export SLIPRING_CLIENTS=$clients SLIPRING_RESTARTS=$restarts
cargo test --quiet --release --locked -p slipring --test succession \
    no_client_is_refused_while_servers_replace_each_other -- --exact --nocapture
