"""Hibari speech synthesis on CPU."""
