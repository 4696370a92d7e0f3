"""Turn reports as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from voxmesh_client.trace_page.page import page

__all__ = ["page"]
