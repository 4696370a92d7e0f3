"""Spoken conversation out of the other services."""
