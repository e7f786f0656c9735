"""Call the functions of a stack: repeats, errors and pages."""
