"""What `make publish` does between `sam package` and `sam publish`: name the source, and check the template."""
