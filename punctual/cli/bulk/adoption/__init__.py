"""Turn one-time schedules of EventBridge Scheduler into schedules of Punctual."""
