"""The stack in a virtual AWS with a clock that you move, for the tests of projects that use Punctual.

`punctual.local`, the simulator, the bench and our own tests import it too.
"""

from punctual.testing.gateway import HttpAnswer
from punctual.testing.outcomes import Attempt, Delivered, Refused, Released
from punctual.testing.stack import Stack

__all__ = ["Attempt", "Delivered", "HttpAnswer", "Refused", "Released", "Stack"]
