#!/usr/bin/env bash
# Makes the library's package, as it would be published, and runs the examples in its documentation
# outside of this repository: what they need has to be in the package.
#
# Takes about a minute; needs the network for crates that are not there yet.
#
# Usage: ci/package.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# The state of the working tree is packaged; and built below, not here.
cargo package --quiet --locked -p slipring --allow-dirty --no-verify
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
# The files in a package have one date for ever, by which cargo would take them for what it has
# built.
tar -xmf "target/package/slipring-$version.crate" -C "$place"
cd "$place/slipring-$version"
for file in README.md LICENSE-APACHE LICENSE-MIT; do
    [[ -s $file && ! -L $file ]] || { echo "$0: the package has no $file" >&2; exit 1; }
done
CARGO_TARGET_DIR="$OLDPWD/target/package-docs" timeout --kill-after=10s 10m \
    cargo test --doc --features axum,bytes,mmf,tokio,zerocopy
