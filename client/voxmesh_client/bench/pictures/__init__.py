"""`voxmesh bench vlm`: what engines that look at pictures get right, and how long they take."""
