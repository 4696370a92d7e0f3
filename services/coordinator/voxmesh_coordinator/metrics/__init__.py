"""Where the time of a turn went."""
