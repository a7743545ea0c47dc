#!/usr/bin/env bash
# Runs hundreds of streams for some minutes (default: 5): random traffic, connects, ends, kills and
# pauses, with every byte checked. Prints descriptors, memory and CPU over time. Exit code 1 if
# anything leaks or is wrong.
#
# Usage: ci/soak.sh [minutes]
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-5}
if ! [[ $minutes =~ ^[1-9][0-9]{0,4}$ ]]; then
    echo "$0: \"$minutes\" is not a number of minutes; usage: $0 [minutes]" >&2
    exit 2
fi
export SLIPRING_SOAK_SECONDS=$((minutes * 60))
cargo test --quiet --release --locked -p slipring --test soak \
    soak -- --exact --ignored --nocapture || exit 1
