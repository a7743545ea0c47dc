#!/usr/bin/env bash
# A hundred million records of a feed, each with number, length and checksum, to readers that are
# lapped all the time. RECORDS for another number.
set -euo pipefail
cd "$(dirname "$0")/.."
SLIPRING_FEED_RECORDS=${RECORDS:-100000000} cargo test --release -p slipring --locked \
    --test feed_processes no_record_is_torn_and_none_is_lost_in_silence -- --nocapture
