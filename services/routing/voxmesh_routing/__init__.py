"""The backends of each slot, and streams to them that fail over."""
