"""The local stack: the real template on a local AWS, on this machine alone."""
