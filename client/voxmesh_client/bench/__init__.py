"""`voxmesh bench`: how well, how fast and how cheaply recognisers hear, measured through their services."""
