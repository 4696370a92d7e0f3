"""Recordings of conversations."""
