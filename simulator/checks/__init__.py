"""Checkers: they decide which events are faults of our code. Only the simulation imports them."""
