"""What goes wrong: calls, crashes, outages and external targets."""
