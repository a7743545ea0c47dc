#!/usr/bin/env bash
# Runs the library's tests under AddressSanitizer, with its leak detection: each access to memory
# that is no longer mapped, or never belonged to the accessing code, ends the test.
#
# Needs a nightly toolchain (`rustup toolchain install nightly`) on x86-64 or aarch64. The standard
# library itself is not instrumented.
#
# Left out: the models, which touch no memory but loom's and take minutes; and the tests that impose
# limits of memory or filters of system calls on a process, since the sanitizer's own terabytes of
# shadow and its own calls do not fit into them (exhaustion, kernel). Nothing is suppressed.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(rustc +nightly -vV | sed -n 's/host: //p')
# slipring_sanitized: copies by `memcpy`, which the sanitizer sees, not by the processor's strings.
export RUSTFLAGS='-Zsanitizer=address --cfg slipring_sanitized'
export ASAN_OPTIONS='detect_leaks=1:abort_on_error=0'
# In a directory of its own: other flags would make everything be built anew.
timeout --kill-after=10s 30m cargo +nightly test --locked -p slipring --all-features \
    --target "$target" --target-dir target/asan \
    --lib --test ends --test death --test hostile --test zero_copy --test stream --test waiting \
    --test frame --test handshake \
    -- --skip models "$@"
