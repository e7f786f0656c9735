"""Punctual: schedule data for a time, and receive it at that time."""
