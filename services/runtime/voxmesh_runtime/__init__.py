"""What every voxmesh service shares: server, streams, errors, audio, models; it knows no model."""
