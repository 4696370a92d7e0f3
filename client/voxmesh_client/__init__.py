"""Typed client and command line of voxmesh."""
