"""Send batches of requests, with a journal of what was sent."""
