#!/usr/bin/env python3
"""Speaks to a volume plugin as container engines do, byte for byte what was recorded of them.

    engine.py [--as dockerd20|dockerd26|podman] [--drop] SOCKET CALL [JSON] [CALL JSON]…
    engine.py --serve SOCKET PROGRAM…      hands PROGRAM the listening socket, as systemd does

Prints a line for each call, all on one connection: the status and the answer's body. --drop: hangs up instead of waiting."""
import json
import os
import socket
import sys

ACCEPT = "application/vnd.docker.plugins.v1.2+json"


def head(engine, call, length):
    host = {"dockerd20": "", "dockerd26": "plugin.moby.localhost", "podman": "plugin"}[engine]
    last = ("Content-Type: application/vnd.docker.plugins.v1.1+json" if engine == "podman" else f"Accept: {ACCEPT}")
    return (f"POST /{call} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Go-http-client/1.1\r\n"
            f"Content-Length: {length}\r\n{last}\r\n\r\n").encode()


def body_of(engine, text):
    # what is no JSON goes as it is; engines write theirs without blanks, dockerd with a newline at the end
    if not text:
        return b""
    try:
        text = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    except ValueError:
        return text.encode()
    return text.encode() + (b"" if engine == "podman" else b"\n")


def read_answer(stream):
    line = stream.readline().decode()
    if not line:
        raise SystemExit("the connection was closed without an answer")
    length = None
    while True:
        field = stream.readline().decode().strip()
        if not field:
            break
        name, _, value = field.partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return line.split()[1], stream.read(length).decode()


def serve(path, program):
    if os.path.exists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    fd = listener.detach()
    if fd != 3:
        os.dup2(fd, 3)
    os.set_inheritable(3, True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    os.execvp(program[0], program)


def main():
    arguments, engine, drop = sys.argv[1:], "dockerd20", False
    if arguments[0] == "--serve":
        serve(arguments[1], arguments[2:])
    while arguments[0].startswith("--"):
        if arguments[0] == "--as":
            engine, arguments = arguments[1], arguments[2:]
        else:
            drop, arguments = True, arguments[1:]
    path, calls = arguments[0], arguments[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(130)
        connection.connect(path)
        stream = connection.makefile("rb")
        for i in range(0, len(calls), 2):
            body = body_of(engine, calls[i + 1] if i + 1 < len(calls) else "")
            connection.sendall(head(engine, calls[i], len(body)) + body)
            if drop:
                return
            print(*read_answer(stream), flush=True)


main()
