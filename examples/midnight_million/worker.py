"""Handle the messages of the output queue, twenty at once, until Ctrl-C or SIGTERM.

Run it in as many containers as you like: each message goes to one of them.
"""

from punctual import Scheduler


def handle(message):
    print(f"{message.data} {message.lateness:.1f} s after its moment", flush=True)  # Send your message here.


if __name__ == "__main__":
    Scheduler().consume(handle, workers=20)
