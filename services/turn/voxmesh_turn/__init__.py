"""Turn detection service."""
