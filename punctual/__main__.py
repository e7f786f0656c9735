"""`python -m punctual`: the command `punctual`."""

import sys

from punctual.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
