"""Entry point of the `voxmesh` command."""

from voxmesh_client.cli.app import main

if __name__ == "__main__":
    main()
