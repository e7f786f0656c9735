"""For the tests of people who build on Punctual: the stack, in a virtual AWS whose clock moves when you say so."""

from punctual.testing.stack import Delivered, Refused, Released, Stack

__all__ = ["Delivered", "Refused", "Released", "Stack"]
