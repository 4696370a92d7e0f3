"""Moonshine speech recognition on CPU."""
