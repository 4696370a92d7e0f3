"""The person's audio on its way to turn detection and recognition, and what they say about it."""
