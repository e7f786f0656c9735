"""The stack in a virtual AWS with a clock that you move, for the tests of projects that use Punctual."""

from punctual.testing.stack import Delivered, Refused, Released, Stack

__all__ = ["Delivered", "Refused", "Released", "Stack"]
