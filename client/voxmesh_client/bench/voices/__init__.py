"""`voxmesh bench tts`: voices compared on waits, speed, and whether another model understands them."""
