"""Language model proxy service."""
