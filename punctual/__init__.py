"""Punctual: hand over some data and a moment, and at that moment the data is there."""
