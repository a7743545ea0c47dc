#!/usr/bin/env bash
# Makes the packages, as they would be published, and uses them outside of this repository, since
# what they need has to be in them: runs the examples in the library's documentation, and compiles
# the command from its own package, the benchmark's and the library's.
#
# Takes about two minutes; needs the network for crates that are not there yet.
#
# Usage: ci/package.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# The state of the working tree is packaged; and built below, not here.
cargo package --quiet --locked --workspace --allow-dirty --no-verify
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
root=$PWD
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for package in slipring slipring-bench slipring-cli; do
    # The files in a package have one date for ever, by which cargo would take them for what it has
    # built.
    tar -xmf "target/package/$package-$version.crate" -C "$place"
    for file in README.md LICENSE-APACHE LICENSE-MIT; do
        [[ -s $place/$package-$version/$file && ! -L $place/$package-$version/$file ]] ||
            { echo "$0: the package of $package has no $file" >&2; exit 1; }
    done
done

cd "$place/slipring-$version"
CARGO_TARGET_DIR="$root/target/package-docs" timeout --kill-after=10s 10m \
    cargo test --doc --features axum,bytes,mmf,tokio,zerocopy

cd "$place/slipring-cli-$version"
CARGO_TARGET_DIR="$root/target/package-docs" timeout --kill-after=10s 10m cargo check \
    --config "patch.crates-io.slipring.path='$place/slipring-$version'" \
    --config "patch.crates-io.slipring-bench.path='$place/slipring-bench-$version'"
