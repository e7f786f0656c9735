"""Scenarios that have a run to themselves: other schedules would hide what they show. `simulation` imports them."""
