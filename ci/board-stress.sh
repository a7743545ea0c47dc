#!/usr/bin/env bash
# A hundred million changes of a board, each with number, key and checksum, to panels that are
# lapped all the time, join again and again, and read single keys. CHANGES for another number.
set -euo pipefail
cd "$(dirname "$0")/.."
SLIPRING_BOARD_CHANGES=${CHANGES:-100000000} cargo test --release -p slipring --locked \
    --test board_processes no_value_is_torn_and_no_key_is_lost_while_panels_are_lapped \
    -- --nocapture
