"""What callers ask for, and what is expected to become of it."""
