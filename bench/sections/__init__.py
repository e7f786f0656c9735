"""Further sections of the results, beside those in `trials`. Only the command line of the bench imports them."""
