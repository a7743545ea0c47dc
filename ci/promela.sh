#!/usr/bin/env bash
# Checks the model of the waiting and of the end, proofs/stream.pml, with spin; then, with each
# thing left out that the model is there for, that the check fails as it should. About half a
# minute, a gigabyte of memory.
#
# Needs spin and a C compiler (Debian: apt-get install spin gcc).
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in spin gcc; do
    if ! command -v "$tool" >/dev/null; then
        echo "$0: \"$tool\" is missing; on Debian: apt-get install spin gcc" >&2
        exit 2
    fi
done

model=$PWD/proofs/stream.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

optimise=-O2
# Explores every state of the model, compiled with the definitions in $@; leaves what spin says in
# `found`.
explore() {
    spin -a "$@" "$model" >spin.log || { cat spin.log >&2; exit 1; }
    gcc "$optimise" -w -DSAFETY -o pan pan.c
    ./pan -m100000 -w24 >found
}

holds() {
    local start=$SECONDS
    explore "$@"
    # A search that was cut short proves nothing.
    if ! grep -q 'errors: 0$' found || grep -qE 'not completed|max search depth' found; then
        echo "stream.pml $*: does not hold" >&2
        cat found >&2
        # The trail that led there, for a reader who wants to see it.
        if [[ -f stream.pml.trail ]]; then
            spin -k stream.pml.trail -t -p "$@" "$model" | tail -n 80 >&2
        fi
        exit 1
    fi
    local states
    states=$(sed -n 's/ *\([0-9]*\) states, stored.*/\1 states/p' found)
    printf 'holds  %-22s %s, %d s\n' "${1:-}${2:+ ...}" "$states" $((SECONDS - start))
}

# fails WHY FLAW
fails() {
    explore -D"$2"
    if ! grep -q "^pan:1: $1" found; then
        echo "stream.pml without $2: expected \"$1\", found:" >&2
        cat found >&2
        exit 1
    fi
    printf 'fails  %-22s %s\n' "$2" "$1"
}

holds
# A larger ring, with nothing from outside.
holds -DCAP=3 -DN=4 -DDEATHS=0 -DTIMEOUTS=0 -DSPURIOUS=0

optimise=-O0
sleeps_on='invalid end state'
wrong='assertion violated'
# The fences of publishing, consuming, arming and ending.
for flaw in NO_PUBLISH_FENCE NO_CONSUME_FENCE NO_READER_ARM_FENCE NO_WRITER_ARM_FENCE \
    NO_END_FENCE; do
    fails "$sleeps_on" $flaw
done
# The rules of waiting.
for flaw in LOOK_BEFORE_ARM BELL_FORGETS DRAIN_AFTER_LOOK END_BY_FORMULA NO_NUDGE \
    NO_STARVING_RULE NO_GIVE_UP; do
    fails "$sleeps_on" $flaw
done
# The orders: of bytes and indexes, and of what comes at the end.
for flaw in TAIL_BEFORE_BYTES HEAD_BEFORE_BYTES FIN_AFTER_TAIL HANG_UP_AFTER_FIN \
    HANG_UP_AFTER_STOP HANG_UP_BEFORE_FIN; do
    fails "$wrong" $flaw
done
