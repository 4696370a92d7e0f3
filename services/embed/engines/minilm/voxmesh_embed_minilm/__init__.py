"""MiniLM sentence embeddings on CPU."""
