"""`voxmesh bench conversation`: scripted conversations in real time, and how human the mesh is in them."""
