"""`python -m punctual.local`: the same as `punctual dev`, without the rest of the command."""

import sys

try:
    from punctual.local.command import dev
except ModuleNotFoundError as error:
    if error.name != "click":
        raise
    sys.exit("error: the local stack needs more packages (click): pip install 'punctual-aws[local]'")

if __name__ == "__main__":
    dev(prog_name="python -m punctual.local")
