"""What performs the turn machine's commands, and what tells it of what happens."""
