"""Read requests from files: lines, NDJSON and CSV."""
