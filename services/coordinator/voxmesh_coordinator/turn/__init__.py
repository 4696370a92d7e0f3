"""When a person's turn is over, and what speech over a reply means."""
