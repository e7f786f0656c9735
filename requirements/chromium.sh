#!/bin/sh
# Installs Chromium for the browser tests of the console, where it is missing and can be installed.
#
# Names tried are those that tools/chromium.py looks for. CHROMIUM=/path names another.
set -eu

for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" "/Applications/Chromium.app/Contents/MacOS/Chromium"; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1; then
        exit 0
    fi
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium for the browser tests (once; about a minute) ..."
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if apt-get update -q >"$log" 2>&1 && DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core >>"$log" 2>&1; then
        exit 0
    fi
    tail -n 5 "$log" >&2
fi
# The browser tests fail with the same words. All others run.
echo "There is no Chromium, and it cannot be installed here. Install Chromium or Chrome, or name one: CHROMIUM=/path" >&2
