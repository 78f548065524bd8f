"""A WebSocket client that answers pings and does nothing else; a process of its own, so that the system can freeze it.

Usage: pongs.py PORT
"""

import socket
import sys

PING = b"\x89\x00"  # FIN and the opcode of RFC 6455 section 5.5.2, no payload
PONG = b"\x8a\x80\0\0\0\0"  # masked with zeros

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def main(port):
    server = socket.create_connection(("127.0.0.1", int(port)))
    server.sendall(HANDSHAKE)
    while data := server.recv(4096):
        server.sendall(PONG * data.count(PING))


if __name__ == "__main__":
    main(*sys.argv[1:])
