"""The subcommands for one schedule and for lists of them."""
