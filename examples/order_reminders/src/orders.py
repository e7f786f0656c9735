"""Keep one reminder for each unpaid order: schedule it, move it and cancel it.

The shop invokes this function with each event of an order:
    {"event": "placed", "order": 7, "remind_at": "2030-01-31T09:00:00+01:00"}
    {"event": "changed", "order": 7, "remind_at": "2030-02-07T09:00:00+01:00"}
    {"event": "paid", "order": 7}

The name of the reminder is made from the order. So a repeated event makes no second reminder, and no table has to keep
the ids of schedules.
"""

import os

from punctual import NotFound, OnItsWay, Scheduler

scheduler = Scheduler()  # The template sets the variables with the functions of Punctual.


def handler(event, context):
    name = f"order/{event['order']}/reminder"
    try:
        if event["event"] == "placed":
            return placed(name, event)
        if event["event"] == "changed":
            return answer(scheduler.move(name, at=event["remind_at"]))
        if event["event"] == "paid":
            return {"state": scheduler.cancel(name).state}
    except (NotFound, OnItsWay) as error:
        return {"state": "no reminder is pending", "reason": str(error)}
    raise ValueError(f"event is {event['event']!r}; wanted: placed, changed or paid")


def placed(name, event):
    target = os.environ["REMIND_FUNCTION_ARN"]
    return answer(scheduler.schedule({"order": event["order"]}, at=event["remind_at"], name=name, target=target))


def answer(scheduled):
    return {"state": scheduled.state, "due": scheduled.due.isoformat()}
