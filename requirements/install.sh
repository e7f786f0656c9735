#!/bin/sh
# Installs a lock: install.sh [--new] FOLDER LOCK
#
# With --new the environment is made from nothing, with the first of $PYTHON, or $PYTHONS, that will do.
# An error leaves an environment that is not to be used; the Makefile's stamps see to that.
set -eu

# Past what the locks have ready-made wheels for.
end='(3, 15)'

# Each candidate is run: a name on the path may be a mere shim, and Debian's Python may lack ensurepip,
# without which there is no environment.
find_python() {
    for candidate in ${PYTHON:-$PYTHONS}; do
        if "$candidate" -c "import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < $end)" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "None of these is a Python from 3.11 to 3.14 with venv: ${PYTHON:-$PYTHONS}" >&2
    echo "Install one (on Debian or Ubuntu: python3 and python3-venv), or name it: make PYTHON=/path/to/python3.13" >&2
    return 1
}

if [ "$1" = --new ]; then
    shift
    python=$(find_python)
    rm -rf "$1"
    "$python" -m venv "$1"
fi

# --no-deps: a lock is complete, and older pips take extras in a locked package's needs for something unlocked.
"$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --require-hashes -r "$2"
broken=$("$1/bin/python" -m pip check --disable-pip-version-check) || { echo "$broken" >&2; exit 1; }
