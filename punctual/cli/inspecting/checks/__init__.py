"""The checks of `punctual doctor`. Each reads one part of the stack. `ALL` lists them in the order of the report.

`LEDGER` reads many rows, so it is made on request only. Only `punctual.cli.inspecting.doctor` imports this package.
"""

from punctual.cli.inspecting.checks import account, api, feeding, functions, ledger, queues
from punctual.cli.inspecting.checks.finding import Check

ALL: tuple[Check, ...] = (*account.CHECKS, *functions.CHECKS, *api.CHECKS, *feeding.CHECKS, *queues.CHECKS)
LEDGER: tuple[Check, ...] = ledger.CHECKS
