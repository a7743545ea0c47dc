#!/usr/bin/env bash
# Fuzzes each target, or those that are named, for some seconds each (60 by default), from the
# corpora in the repository, with AddressSanitizer:
#
#     ci/fuzz.sh [SECONDS [TARGET...]]
#
# Needs a nightly toolchain, a C++ compiler and cargo-fuzz (`cargo install cargo-fuzz`). New
# findings are kept in `fuzz/found`, and failing inputs in `fuzz/artifacts`; the corpora themselves
# stay as they are.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

seconds=${1:-60}
targets=("${@:2}")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(ls corpus)
fi

cargo +nightly fuzz build --features libfuzzer
for target in "${targets[@]}"; do
    printf '\n== %s\n' "$target"
    mkdir -p "found/$target"
    # A peer's word may cost no memory, and no scene takes long.
    cargo +nightly fuzz run --features libfuzzer "$target" "found/$target" "corpus/$target" -- \
        -max_total_time="$seconds" -timeout=30 -malloc_limit_mb=64 -max_len=4096 \
        -print_final_stats=1
done
