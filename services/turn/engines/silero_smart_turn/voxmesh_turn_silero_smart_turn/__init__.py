"""Silero voice activity and Smart Turn end-of-turn detection."""
