"""`voxmesh bench llm`: language models compared on first tokens, speed, what the proxy costs, and eight tasks."""
