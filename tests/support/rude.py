#!/usr/bin/env python3
"""A client of the control socket that does not behave.

    rude.py SOCKET garbage [SEED]     many broken requests; each must be refused or closed, in time
    rude.py SOCKET slow               a head byte by byte, then silence: must be closed; prints the seconds
    rude.py SOCKET crowd N            N idle connections, held until stdin ends
    rude.py SOCKET work N             N times POST /sync, held until stdin ends; prints the statuses
    rude.py SOCKET half               a request whose end never comes, left without a close for 1 s, then reset"""
import os
import random
import socket
import sys
import time


def connect(path, timeout=60):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout)
    folder = os.open(os.path.dirname(path), os.O_PATH)
    s.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    os.close(folder)
    return s


def exchange(path, data):
    """The status, or 0 where the connection was closed without one."""
    s = connect(path)
    got = b""
    try:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    except OSError:
        pass
    try:
        while len(got) < 65536:
            piece = s.recv(4096)
            if not piece:
                break
            got += piece
    except ConnectionError:
        pass
    s.close()
    return int(got.split(b" ")[1]) if got.startswith(b"HTTP/") else 0


def post(target, body, head=b""):
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s" % (target, len(body), head, body)


def broken(rng):
    yield b"\r\n\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400)
    yield b"GET " + b"/" * 100000 + b" HTTP/1.1\r\n\r\n"
    yield b"GET /status HTTP/1.1\r\n" + b"x: y\r\n" * 20000 + b"\r\n"
    yield b"GET /status HTTP/9.9\r\n\r\n"
    yield b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"DELETE /status HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n"
    for key in (b"..", b"a/../b", b"/a", b"a//b", b"%00", b"a%00b", b"%", b"a" * 2000, b"a" * 300):
        yield b"GET /file?key=%s HTTP/1.1\r\nHost: x\r\n\r\n" % key
    for body in (b"{", b"[]", b"null", b"{}{}", b'{"keys":1}', b'{"keys":[1]}', b'{"keys":[[]]}', b'{"keys":["../x"]}',
                 b'{"keys":["%zz"]}', b'{"keys":["a%00"]}', b'{"keys":["/"]', b'{"a":1,"a":2}', b'{"a":"\xff"}',
                 b'{"keys":[' + b'"x",' * 20000 + b'"x"]}', b'{"a":' + b"[" * 200000 + b"]" * 200000 + b"}",
                 b"\x00" * 5000):
        yield post(b"/sync", body)
    yield b"POST /sync HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"
    yield b"POST /sync HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"
    yield post(b"/sync", b" " * (1 << 20) + b"{}")
    yield b"POST /sync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + (
        b"10000\r\n" + b" " * 65536 + b"\r\n") * 20 + b"0\r\n\r\n"
    yield b"POST /sync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx"
    yield post(b"/log-level", b"{}").replace(b"POST", b"PUT")
    yield post(b"/log-level", b'{"level":["debug"]}').replace(b"POST", b"PUT")
    for _ in range(60):
        yield rng.randbytes(rng.choice((1, 10, 100, 5000)))
    good = post(b"/sync", b'{"keys":["%zz"]}')
    for _ in range(60):
        mutated = bytearray(good)
        for _ in range(rng.randint(1, 6)):
            mutated[rng.randrange(len(mutated))] = rng.randrange(256)
        yield bytes(mutated)


def garbage(path, seed="1"):
    for number, data in enumerate(broken(random.Random(int(seed)))):
        status = exchange(path, data)
        # a mutation may make a request good, and a good one is answered
        assert status in (0, 501, 505) or 400 <= status < 500 or (status == 200 and number > 80), (number, status, data[:200])
    print("ok")


def slow(path):
    s, began = connect(path), time.monotonic()
    try:
        for byte in b"GET /status HTTP/1.1\r\nHost: x" + b"x" * 1000:
            s.sendall(bytes([byte]))
            s.settimeout(0.2)
            try:
                if not s.recv(1):
                    break
            except socket.timeout:
                pass
            if byte == ord("x"):
                s.settimeout(300)
                s.recv(1000)  # silence from here on
                break
    except ConnectionError:
        pass
    print(int(time.monotonic() - began))


def crowd(path, count):
    held = [connect(path) for _ in range(int(count))]
    print(len(held), flush=True)
    sys.stdin.read()


def work(path, count):
    held = []
    for _ in range(int(count)):
        s = connect(path)
        s.sendall(post(b"/sync", b"{}"))
        print(s.recv(12).split(b" ")[1].decode(), flush=True)
        held.append(s)
    sys.stdin.read()


def half(path):
    s = connect(path)
    s.sendall(b"POST /sync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    time.sleep(1)
    print("ok")


globals()[sys.argv[2]](sys.argv[1], *sys.argv[3:])
