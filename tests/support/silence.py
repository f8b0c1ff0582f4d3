#!/usr/bin/env python3
"""A server that is none: silence.py hole|mute PORT READY-FILE.

hole: the kernel drops whoever wants to connect (the queue of connections is full, and nobody takes one out of it).
mute: accepts, and says nothing; to a client that wants TLS that is a handshake which hangs."""
import socket
import sys
import time


def main():
    how, port, ready = sys.argv[1:]
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(port)))
    server.listen(0 if how == "hole" else 100)
    held = []
    while how == "hole":
        client = socket.socket()
        client.settimeout(0.5)
        held.append(client)
        try:
            client.connect(("127.0.0.1", int(port)))
        except TimeoutError:
            break
    with open(ready, "w", encoding="ascii"):
        pass
    while how == "mute":
        held.append(server.accept())
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
