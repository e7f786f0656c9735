"""Moves many schedules at once: `import`, `export` and `adopt`."""
