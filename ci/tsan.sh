#!/usr/bin/env bash
# Runs the ring between two threads under ThreadSanitizer; then once more with nothing released, to see that it would tell.
#
# Needs a nightly toolchain. Without its `rust-src` the standard library is not instrumented, which does here: the two threads meet
# in nothing but the ring, and in starting and joining them.
#
# Not the whole library, for what ThreadSanitizer does not see: one page at two addresses (so the ring is mapped once here), memory
# that another process writes, and fences (so each load of a peer's word acquires here by itself). For that last reason one thing is
# suppressed: what the standard library's `Arc` does when a thread is joined, where it drops its last reference behind a fence.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc +nightly -vV | sed -n 's/host: //p')
# The second flag lets code that is instrumented link with a standard library that is not.
export RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer'
suppressions=$(mktemp)
log=$(mktemp)
trap 'rm -f "$suppressions" "$log"' EXIT
echo 'race:alloc::sync::Arc' >"$suppressions"
export TSAN_OPTIONS="halt_on_error=1 suppressions=$suppressions"
stress() {
    timeout --kill-after=10s 10m cargo +nightly test --locked -p slipring --lib --target "$target" --target-dir target/tsan \
        "$1" -- --exact "${@:2}"
}

stress ring::stress::with_loads_that_acquire

if stress ring::stress::with_nothing_released --ignored >"$log" 2>&1; then
    echo "$0: a race went unnoticed" >&2
    exit 1
fi
grep -q 'WARNING: ThreadSanitizer: data race' "$log" || { cat "$log" >&2; exit 1; }
echo 'with nothing released: a data race is told, as it has to be'
