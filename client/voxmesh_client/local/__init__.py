"""A mesh on this machine: its processes, ports and logs."""
