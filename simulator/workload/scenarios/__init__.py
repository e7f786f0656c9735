"""What is asked for in a run: scenes, each of which plans its part of one."""

INTERVAL_S = 600
"""Between two feeds, as the template has it by default."""
