#!/bin/sh
# Makes the locks anew from the .in files: lock.sh [--upgrade]
#
# What a lock holds already it keeps, unless --upgrade is said. One lock serves Python 3.11 and newer on Linux and
# macOS. It names no registry; its hashes are those of whichever one pip and uv are set up to use.
set -eu
cd "$(dirname "$0")/.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

requirements/install.sh --new "$scratch/venv" requirements/uv.txt
for name in uv run dev sam; do
    echo "requirements/$name.txt"
    "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes "$@" \
        --custom-compile-command "make lock" --output-file "requirements/$name.txt" "requirements/$name.in"
done
