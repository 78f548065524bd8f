"""Plays Python's `websockets` against an echo server, in each way in which it can ask for compression.

Usage: compression.py <ws URL>

Prints a line for each way that failed, and ends with 1 if one did.
"""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

WAYS = [
    {},
    {"client_max_window_bits": True},
    {"client_max_window_bits": 9},
    {"server_max_window_bits": 9},
    {"server_max_window_bits": 12, "client_max_window_bits": 12},
    {"server_no_context_takeover": True},
    {"client_no_context_takeover": True},
    {"server_no_context_takeover": True, "client_no_context_takeover": True, "server_max_window_bits": 15},
]

POSITION = '{"device_id":"%d","timestamp":"2026-01-02T03:04:05.678Z","latitude":52.%d,"longitude":13.%d}'

MESSAGES = [
    "",
    "short",
    b"",
    b"\0" * 60_000,
    ",".join(POSITION % (n, n * 7919 % 10_000, n * 104_729 % 10_000) for n in range(600)),
    "\N{BICYCLE}" * 5_000,
]


async def play(url, way):
    factory = ClientPerMessageDeflateFactory(**way)
    async with connect(url, compression=None, extensions=[factory], max_size=None) as client:
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"], "not agreed on"
        for message in MESSAGES:
            await client.send(message)
            assert await client.recv() == message, f"{message[:20]!r} came back as something else"
            # In fragments.
            await client.send([message[:100], message[100:]])
            assert await client.recv() == message, f"{message[:20]!r} in fragments came back as something else"


async def main(url):
    failed = False
    for way in WAYS:
        try:
            await asyncio.wait_for(play(url, way), 60)
        except Exception as fault:
            print(f"FAILED websockets, {way}: {fault!r}")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
