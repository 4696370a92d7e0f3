"""A wire between two network namespaces with a delay each way: `python wire.py DELAY_MS NS/ADDRESS NS/ADDRESS`.

The kernel's own delay (netem) may be missing, so two TAP devices are joined here, packet by packet.
Prints "up" when the wire is there, and takes it away when it ends. Needs root.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import subprocess
import sys
from contextlib import suppress

TUNSETIFF = 0x400454CA
TAP_WITHOUT_HEADER = 0x0002 | 0x1000
LARGEST_PACKET = 65536


def tap(device: str, namespace: str, address: str) -> int:
    """A device in a namespace, with an address of a /24; gives the descriptor of its other side."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH", device.encode(), TAP_WITHOUT_HEADER))
    inside = ["ip", "-n", namespace]
    subprocess.run(["ip", "link", "set", device, "netns", namespace], check=True)
    subprocess.run([*inside, "addr", "add", f"{address}/24", "dev", device], check=True)
    subprocess.run([*inside, "link", "set", device, "up"], check=True)
    return descriptor


def join(source: int, target: int, delay_s: float) -> None:
    """Let packets of one side arrive at the other, in order, after the delay."""
    loop = asyncio.get_running_loop()

    def deliver(packet: bytes) -> None:
        # A device that is going away takes no more.
        with suppress(OSError):
            os.write(target, packet)

    def take() -> None:
        with suppress(BlockingIOError):
            while True:
                loop.call_later(delay_s, deliver, os.read(source, LARGEST_PACKET))

    loop.add_reader(source, take)


async def main(delay_ms: str, *ends: str) -> None:
    """Hold the wire until the process is ended."""
    sides = [end.partition("/") for end in ends]
    first, second = (tap(f"vm{os.getpid()}{i}", name, address) for i, (name, _, address) in enumerate(sides))
    for source, target in ((first, second), (second, first)):
        join(source, target, float(delay_ms) / 1000)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
