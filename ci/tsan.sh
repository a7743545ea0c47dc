#!/usr/bin/env bash
# Runs the ring between two threads under ThreadSanitizer; then once more with nothing released, to
# see that it would tell.
#
# Needs a nightly toolchain. Its standard library is not instrumented (that would need `rust-src`),
# so what synchronises in there goes unseen, and two places of it are suppressed: the last reference
# of an `Arc`, dropped behind a fence when a thread is joined, and the channel of the test harness.
# Neither is on the stack when a byte of the ring is touched.
#
# Not the whole library, for what ThreadSanitizer does not see: one page at two addresses (so the
# ring is mapped once here), memory that another process writes, and fences (so each load of a
# peer's word acquires here by itself).
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc +nightly -vV | sed -n 's/host: //p')
# The second flag lets code that is instrumented link with a standard library that is not.
export RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer'
suppressions=$(mktemp)
log=$(mktemp)
trap 'rm -f "$suppressions" "$log"' EXIT
printf 'race:alloc::sync::Arc\nrace:std::sync::mpmc\n' >"$suppressions"
export TSAN_OPTIONS="halt_on_error=1 suppressions=$suppressions"
stress() {
    timeout --kill-after=10s 10m cargo +nightly test --locked -p slipring --lib \
        --target "$target" --target-dir target/tsan \
        "$1" -- --exact "${@:2}"
}

stress ring::stress::two_threads_with_acquiring_loads_pass_every_byte

if stress ring::stress::two_threads_with_nothing_released_race --ignored >"$log" 2>&1; then
    echo "$0: a race went unnoticed" >&2
    exit 1
fi
if ! grep -q 'WARNING: ThreadSanitizer: data race' "$log" ||
    ! grep -q 'ring::stress::reads' "$log"; then
    cat "$log" >&2
    exit 1
fi
echo 'with nothing released: a data race is told, as it has to be'
