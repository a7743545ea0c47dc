#!/usr/bin/env bash
# slipring on aarch64, from an x86-64 machine: builds the library, the command and all their tests,
# and runs the tests under qemu-user.
#
# This shows that the code builds for that processor and behaves there: its layouts, system calls,
# signals and processes. It shows nothing about memory order. qemu-user runs each thread on the
# processor at hand, which keeps the stores of a thread in order (TSO), and never shows a
# reordering that aarch64 allows. The models hold the orderings (docs/proofs.md).
#
# It needs rustup, for the standard library of the other processor, and the packages below, which
# it installs if it is root. Its exit code is 77 if this machine cannot run it.
#
# Usage: ci/aarch64.sh [--all]
#
# Without `--all` these run: the tests of the library, within a process and across processes, those
# that need root if it is root, and a demo of the command. With it those of the command and of the
# benchmark run as well, and the examples in the documentation.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)

# Tests that qemu-user cannot run, by its fault. Every other test runs.
left_out=(
    # It knows no filters (seccomp(2)). (tests/syscalls.rs is for x86-64 anyway.)
    bells_for_others_need_a_newer_kernel
    a_pair_that_the_kernel_refuses_is_an_error_and_leaves_nothing
    a_connect_that_the_kernel_refuses_is_an_error_and_leaves_nothing
    an_accept_that_the_kernel_refuses_is_an_error_and_leaves_nothing
    a_reader_that_the_kernel_refuses_the_next_ring_says_so_and_loses_nothing
    a_ring_that_the_kernel_refuses_is_an_error_for_calls_that_need_it_alone
    a_bind_in_a_directory_that_takes_nothing_is_an_error

    # It accepts MADV_WIPEONFORK and does nothing, so that a forked child is not recognised.
    a_forked_child_does_not_disturb_an_exchange
    a_forked_child_is_refused_on_tokio
    a_forked_child_neither_writes_nor_reads_nor_ends_anything
    a_forked_child_that_drops_a_listener_leaves_the_name
    a_forked_child_writes_into_no_room_that_its_parent_found
    a_forked_child_neither_writes_nor_consumes
    a_forked_child_starts_with_no_half_that_spins
    a_forked_child_neither_publishes_nor_ends_anything

    # It ignores RLIMIT_AS, and needs mappings of its own where none are left.
    a_process_with_no_addresses_left_says_so_and_goes_on
    a_process_with_no_mappings_left_says_so_and_goes_on

    # It gives the wrong length of a socket's time limit (SO_SNDTIMEO).
    dialing_leaves_a_blocking_socket_without_a_time_limit

    # It is the program that the kernel runs: the file of the emulated one can be written, and
    # /proc/self/status tells which signals qemu ignores.
    a_plain_ring_that_is_no_file_or_cannot_be_written_is_refused
    a_connect_that_ignores_a_signal_goes_on
    a_demo_that_ignores_ctrl_c_runs_to_its_end
    signals_that_were_ignored_stay_ignored
)

# A panel has to be faster than a publisher that never pauses laps it; under qemu it often is not.
left_out+=(no_value_is_torn_and_no_key_is_lost_while_panels_are_lapped)

# The models simulate the memory, whatever the processor, and take minutes here.
left_out+=(models::)

# Of those that need root:
left_out_of_root=(
    # It has no preadv2(2), by which the doorbells of other users are rung.
    a_user_who_is_allowed_gets_a_stream
    a_name_that_another_user_has_bound_is_not_connected_to
    bytes_lent_from_another_user_do_not_change
    a_flood_of_refused_users_does_not_take_the_time_of_accept_away
    handshakes_that_a_user_does_not_receive_are_limited

    # It refuses clone(2) with a namespace.
    a_forked_child_with_its_parents_pid
    a_holder_in_another_pid_namespace_has_no_number_here

    # It has a thread of its own, so that unshare(2) refuses a user namespace.
    two_in_a_user_namespace_find_each_other_by_name
    a_socket_of_a_user_without_a_number_here_is_not_trusted
    a_client_without_a_number_here_is_not_the_listeners_user
    peers_anyone_lets_in_a_user_without_a_number_here
    a_process_without_a_number_of_its_own_is_told_so
    a_directory_of_a_user_without_a_number_here_is_not_trusted
    a_lock_file_of_a_user_without_a_number_here_is_not_trusted
)

cannot() {
    printf 'This machine cannot run the tests for aarch64: %s\n' "$*" >&2
    exit 77
}

is_root() { [[ $(id -u) == 0 ]]; }

has_tools() {
    command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null
}

has_library() { [[ -d $(rustc --print target-libdir --target "$target") ]]; }

# Runs a command while the kernel gives aarch64 programs to qemu, also those that tests start
# (binfmt_misc). If this is root, they are given to it all over the machine for as long. If not,
# only in a user namespace of the command's own; Linux has registers of their own for these since
# 6.7.
with_emulator() {
    local namespace=(unshare --mount)
    is_root || namespace+=(--map-root-user)
    "${namespace[@]}" bash -c '
        set -e
        register=/proc/sys/fs/binfmt_misc name=slipring-$$
        mount -t binfmt_misc binfmt_misc "$register"
        # The first bytes of an ELF file for this processor, and those of their bits that count.
        # P: with the name it was called by. F: qemu is opened here, for other roots as well.
        zeros="\x00\x00\x00\x00\x00\x00\x00\x00" ones="\xff\xff\xff\xff\xff\xff\xff\xff"
        magic="\x7fELF\x02\x01\x01\x00$zeros\x02\x00\xb7\x00"
        mask="\xff\xff\xff\xff\xff\xff\xff\x00$ones\xfe\xff\xff\xff"
        echo ":$name:M::$magic:$mask:$(command -v qemu-aarch64):PF" >"$register/register"
        trap "echo -1 >$register/$name" EXIT
        "$@"' bash "$@" </dev/null
}

[[ $(uname -m) == x86_64 ]] || cannot 'it is none with x86-64. On aarch64 run `cargo test` itself.'
if ! has_tools && is_root; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}" || true
fi
has_tools || cannot "install ${packages[*]}, or run this as root."
has_library || rustup target add "$target" || true
has_library || cannot "rustup target add $target failed."

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
# Tests see in /proc which system call a thread sleeps in, by the kernel's own number.
export SLIPRING_TEST_KERNEL=x86_64
# An emulated program takes about ten times as long: so there are fewer rounds.
export SLIPRING_BULK_MIB="${SLIPRING_BULK_MIB:-64}"
export SLIPRING_SPINNING_MIB="${SLIPRING_SPINNING_MIB:-4}"
export SLIPRING_FAIL_COUNTS="${SLIPRING_FAIL_COUNTS:-1}"
export SLIPRING_FAIL_ROUNDS="${SLIPRING_FAIL_ROUNDS:-20}"
export SLIPRING_KILL_ROUNDS="${SLIPRING_KILL_ROUNDS:-20}"
export SLIPRING_RACE_ROUNDS="${SLIPRING_RACE_ROUNDS:-50}"
export SLIPRING_STORM_ROUNDS="${SLIPRING_STORM_ROUNDS:-10}"
export SLIPRING_BOARD_LIES="${SLIPRING_BOARD_LIES:-40}"
export SLIPRING_FEED_LIES="${SLIPRING_FEED_LIES:-40}"
export SLIPRING_FEED_RECORDS="${SLIPRING_FEED_RECORDS:-1000000}"
export PROPTEST_CASES="${PROPTEST_CASES:-32}"
# Nobody debugs these programs, or builds them twice.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_INCREMENTAL=0
# Unoptimised, they run for twice as long.
settings=(--locked --target "$target" --config profile.dev.package.loom.opt-level=0)
for package in slipring slipring-bench slipring-cli; do
    settings+=(--config "profile.dev.package.$package.opt-level=1")
done
# All but axum and tonic, which are traits alone.
features=slipring/bytes,slipring/fail-points,slipring/mmf,slipring/tokio,slipring/zerocopy
if [[ ${1-} == --all ]]; then
    test=(cargo test "${settings[@]}" --workspace --features "$features")
    all=("${test[@]}")
else
    test=(cargo test "${settings[@]}" -p slipring --features "$features")
    all=("${test[@]}" --lib --tests)
fi

with_emulator true || cannot 'it has no binfmt_misc, or none for user namespaces (Linux 6.7).'
cargo build "${settings[@]}" -p slipring --features "$features" --examples
"${all[@]}" --no-run
cargo build "${settings[@]}" -p slipring-cli
if ! is_root; then
    # It becomes another user, and there is none.
    left_out+=(a_process_at_its_limit_of_locked_memory_is_told_so)
fi
with_emulator "${all[@]}" --no-fail-fast -- "${left_out[@]/#/--skip=}"
if is_root; then
    with_emulator "${test[@]}" --no-fail-fast --lib --tests needs_root -- --ignored \
        "${left_out_of_root[@]/#/--skip=}"
fi
with_emulator "target/$target/debug/slipring" demo --seconds 2
