"""`punctual apps`: the teams and customers that share a stack, and their keys."""
