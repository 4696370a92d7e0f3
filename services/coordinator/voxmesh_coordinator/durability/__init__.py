"""What is kept of a session, so that another replica can go on with it."""
