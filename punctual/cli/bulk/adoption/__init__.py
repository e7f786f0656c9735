"""Turn one-time schedules of EventBridge Scheduler into schedules of Punctual.

Part of `punctual.cli.bulk`. Only its module `adopting` imports this package.
"""
