#!/usr/bin/env bash
# Builds and tests panels/: the window under Xvfb, and the page in a headless Chromium. Installs
# what these need, if it is missing, as root.
#
# Usage: ci/panels.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# Where ldconfig is, which users do not have in their PATH.
PATH=$PATH:/usr/sbin:/sbin
packages=()
# Lists the packages of the second argument for installing, if the command of the first one fails.
need() { eval "$1" >/dev/null 2>&1 || packages+=($2); }
need 'command -v Xvfb' xvfb
need 'command -v xdotool' xdotool
need 'command -v tesseract' 'tesseract-ocr tesseract-ocr-eng'
need 'command -v chromium || command -v chromium-browser' 'chromium fonts-dejavu-core'
need '/usr/bin/python3 -c "from PIL import ImageGrab"' python3-pil
need '/usr/bin/python3 -c "import websockets"' python3-websockets
# What eframe opens while it runs.
need 'ldconfig -p | grep -F libEGL.so.1' 'libegl1 libgl1 libgl1-mesa-dri'
need 'ldconfig -p | grep -F libxkbcommon-x11.so.0' libxkbcommon-x11-0
need 'ldconfig -p | grep -F libXcursor.so.1' 'libxcursor1 libxi6 libxrandr2'
if [[ ${#packages[@]} -gt 0 ]]; then
    [[ $EUID -eq 0 ]] || { echo "$0: only root can install ${packages[*]}" >&2; exit 1; }
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
fi

cd panels
cargo fmt --all --check
cargo clippy --workspace --all-targets --locked -- -D warnings
lines=$(wc -l <gateway/src/main.rs)
[[ $lines -le 150 ]] || { echo "$0: the gateway has $lines lines of at most 150" >&2; exit 1; }
cargo test --workspace --locked
cargo build --workspace --locked
../ci/panel-window.py target/debug
../ci/panel-browser.py target/debug
