#!/usr/bin/env bash
# Installs Mono's compiler and runtime, if they are missing, and compiles the program:
# examples/csharp/ring.exe, or what is given as the first argument.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/ring.exe}

if ! command -v mcs >/dev/null || ! command -v mono >/dev/null; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update
    $sudo apt-get install --yes --no-install-recommends \
        mono-mcs mono-runtime libmono-system-core4.0-cil
fi
mcs -unsafe -optimize -out:"$out" "$here"/*.cs
