"""Vision-language service."""
