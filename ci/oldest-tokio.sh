#!/usr/bin/env bash
# Builds the library with the oldest tokio that its Cargo.toml admits, and runs the tests of
# `slipring::tokio` and of messages on tokio with it.
#
# Cargo.lock names the newest tokio, so nothing else would notice a call that the oldest one lacks.
# The work is done in a copy below target/; Cargo.lock stays as it is. Needs the network for the
# older crates. It takes a minute or two.
#
# Usage: ci/oldest-tokio.sh
set -euo pipefail
cd "$(dirname "$0")/.."

floor=$(sed -n 's/^tokio = { version = "\([0-9.]*\)".* optional = true.*/\1/p' slipring/Cargo.toml)
if [[ ! $floor =~ ^1\.[0-9]+$ ]]; then
    echo "$0: slipring/Cargo.toml does not say which tokio is the oldest, as 1.MINOR" >&2
    exit 2
fi

root=$PWD
copy=$root/target/oldest-tokio/source
rm -rf "$copy"
mkdir -p "$copy"
# Links are resolved, and times kept: files that have not changed are not built again.
cp -pRL Cargo.toml Cargo.lock README.md docs slipring slipring-bench slipring-cli "$copy"
cd "$copy"

# The newest tokio-util, which only tests use, asks for a newer tokio.
cargo update --quiet -p tokio-util --precise 0.7.16
cargo update --quiet -p tokio --precise "$floor.0"
export CARGO_TARGET_DIR=$root/target/oldest-tokio
cargo tree --quiet -p slipring --features tokio -e normal -i tokio --depth 0
timeout --kill-after=10s 10m cargo test --locked -p slipring --features tokio,bytes \
    --test tokio --test frame_tokio
