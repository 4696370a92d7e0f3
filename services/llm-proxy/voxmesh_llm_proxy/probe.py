"""Ask a llama.cpp server on loopback whether it is ready."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit


async def is_healthy(url: str, timeout_s: float = 2.0) -> bool:
    """True when GET `url`/health answers 200; false while it loads, hangs or is not there."""
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(f"GET /health HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
