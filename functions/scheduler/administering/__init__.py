"""The use case of the owner: create applications and their keys, replace and disable keys, delete applications.

Only wiring and the handler import it.
"""
