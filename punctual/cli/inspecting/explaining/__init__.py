"""The parts of `punctual explain`: the evidence that it reads, and the sentences that follow from it.

Only `punctual.cli.inspecting.explain` imports this package.
"""
