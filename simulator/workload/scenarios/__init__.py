"""The scenarios: each plans a part of the requests of a run. Only `simulation` and the crash points import them.

Each scenario seeds a random source with a text of its own. The texts keep words that the code no longer uses, such as
"crowds", because another text would make another run of every seed.
"""

INTERVAL_S = 600
"""The default time between two feeds in the template."""
