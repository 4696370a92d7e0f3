"""What every voxmesh service shares; it knows no model."""
