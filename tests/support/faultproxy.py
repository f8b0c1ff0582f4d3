#!/usr/bin/env python3
"""A reverse proxy that makes an S3 server misbehave, and keeps a log of what was asked of it.

    faultproxy.py UPSTREAM_PORT --rules FILE --log FILE [--address IP] [--port N] [--port-file FILE] [--seed N] [--tls PEM]

Requests are forwarded as they are, Host included, so that signatures made for the proxy's address hold at the
server. The rules file is read again whenever it changes. One rule a line ('#' starts a comment); every rule that
fits and fires adds what it does:

    METHOD TARGET WORD…          METHOD: PUT, GET|HEAD, * …; TARGET: regex searched in path?query
  when it fires, among the requests that fit (counted per rule from 1, anew when the file changes):
    nth=3  first=5  after=2  every=4  chance=0.25          range=REGEX: and the Range header fits
  what it does:
    latency=MS latency_back=MS      wait before forwarding, before answering
    reset=before|after|body         RST: nothing forwarded | answer lost | in the middle of the answer's body
    stall=before|after|body         the same places, but silence until the client gives up
    status=503 [code=SlowDown] [retry_after=1] [region=eu-x] [body=garbage|empty|FILE] [when=after]
                                    an S3 error of our own; when=after: the request did take effect
    xml=100M                        200 and a ListBucketResult of that size
    truncate=N                      the answer's body ends after N bytes, though its headers said more
    shorten=N                       the answer's body is N bytes (N < 0: all but), and the headers agree
    corrupt=N                       byte N of the answer's body is another one
    throttle=BYTES                  the answer's body at BYTES a second
    name=TEXT                       nothing, but it stands in the log as part of the fault
    header=NAME:VALUE               replaces or adds a header of the answer ("header=etag:\"x\"")

The log has one JSON line a request: n, t, ms, method, path, query, status (what the client saw; 0 = no answer),
sent, got (body bytes to and from the server), fault, signed (names of signed headers), scope, headers (the rest of
authorization and tokens left out)."""
import argparse
import asyncio
import email.utils
import json
import os
import random
import re
import socket
import ssl
import struct
import sys
import time

LIMIT = 256 * 1024
SECRET = {b"authorization", b"x-amz-security-token", b"x-amz-copy-source-server-side-encryption-customer-key",
          b"x-amz-server-side-encryption-customer-key"}
SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size_of(text):
    return int(text[:-1]) * SIZES[text[-1]] if text[-1] in SIZES else int(text)


class Rule:
    WHEN = {"nth": int, "first": int, "after": int, "every": int, "chance": float, "range": re.compile}
    DO = {"latency": float, "latency_back": float, "reset": str, "stall": str, "status": int, "code": str,
          "retry_after": str, "region": str, "body": str, "when": str, "xml": size_of, "truncate": int,
          "shorten": int, "corrupt": int, "throttle": size_of, "header": str,
          "name": str}

    def __init__(self, line):
        method, target, *words = line.split()
        self.method, self.target = re.compile(method.replace("*", ".*")), re.compile(target)
        self.when, self.do, self.seen, self.headers = {}, {}, 0, []
        for word in words:
            name, _, value = word.partition("=")
            if name == "header":
                self.headers.append(value.split(":", 1))
            elif name in self.WHEN and (name != "after" or value.isdigit()):
                self.when[name] = self.WHEN[name](value)
            else:
                self.do[name] = self.DO[name](value)

    def fires(self, method, target, range_header, dice):
        when = self.when
        if not self.method.fullmatch(method) or not self.target.search(target):
            return False
        if "range" in when and not when["range"].search(range_header):
            return False
        self.seen += 1
        return (when.get("nth", self.seen) == self.seen and self.seen <= when.get("first", self.seen)
                and self.seen > when.get("after", 0) and self.seen % when.get("every", 1) == 0
                and ("chance" not in when or dice.random() < when["chance"]))


class Rules:
    def __init__(self, path, seed):
        self.path, self.stamp, self.rules, self.dice = path, None, [], random.Random(seed)

    def fresh(self):
        try:
            info = os.stat(self.path)
            stamp = (info.st_mtime_ns, info.st_ino, info.st_size)
        except OSError:
            stamp = None
        if stamp != self.stamp:
            self.stamp, self.rules = stamp, []
            if stamp:
                with open(self.path, encoding="utf-8") as file:
                    lines = (line.strip() for line in file)
                    self.rules = [Rule(line) for line in lines if line and line[0] != "#"]
        return self.rules

    def faults(self, request):
        do, headers = {}, []
        for rule in self.fresh():
            if rule.fires(request.method, request.target, request.header(b"range").decode("latin-1"), self.dice):
                do.update(rule.do)
                headers += rule.headers
        if headers:
            do["headers"] = headers
        return do


class Gone(Exception):
    """A side hung up, or a fault ended the exchange."""


class Head:
    """The first line and the headers of a request or an answer."""

    def __init__(self, raw):
        first, _, rest = raw[:-4].partition(b"\r\n")
        self.words = first.decode("latin-1").split(" ", 2)
        self.fields = [line.split(b":", 1) for line in rest.split(b"\r\n") if b":" in line]
        self.raw = raw
        self.method, self.target = self.words[0], self.words[1]

    def header(self, name):
        for key, value in self.fields:
            if key.lower() == name:
                return value.strip()
        return b""

    def remove(self, name):
        self.fields = [f for f in self.fields if f[0].lower() != name.lower()]

    def replace(self, name, value):
        name = name.encode()
        self.remove(name)
        self.fields.append([name, b" " + str(value).encode()])
        self.raw = (" ".join(self.words).encode("latin-1") + b"\r\n"
                    + b"".join(k + b":" + v + b"\r\n" for k, v in self.fields) + b"\r\n")


async def read_head(reader):
    try:
        return Head(await reader.readuntil(b"\r\n\r\n"))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        raise Gone from None


async def body_pieces(head, reader, until_end, framed=True):
    """The bytes of a body; framed: with the framing of chunks, as they came."""
    if b"chunked" in head.header(b"transfer-encoding").lower():
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            if framed:
                yield line
            if size == 0:
                while line != b"\r\n":  # trailers
                    line = await reader.readuntil(b"\r\n")
                    if framed:
                        yield line
                return
            data = await reader.readexactly(size + 2)
            yield data if framed else data[:-2]
    length = head.header(b"content-length")
    left = int(length) if length else (1 << 62 if until_end else 0)
    while left:
        data = await reader.read(min(left, LIMIT))
        if not data:
            if length:
                raise Gone
            return
        left -= len(data)
        yield data


async def one_piece(data):
    yield data


class Exchange:
    """One request of one client connection."""

    def __init__(self, proxy, client, request):
        self.proxy, self.client, self.request = proxy, client, request
        self.do, self.status, self.sent, self.got = proxy.rules.faults(request), 0, 0, 0
        self.started = time.time()

    async def fault_at(self, place):
        if self.do.get("reset") == place:
            linger = struct.pack("ii", 1, 0)  # close sends RST
            self.client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.client.writer.transport.abort()
            raise Gone
        if self.do.get("stall") == place:
            while await self.client.reader.read(LIMIT):
                pass
            raise Gone

    async def drain_request(self):
        if self.request.header(b"expect"):
            return
        async for data in body_pieces(self.request, self.client.reader, False):
            self.sent += len(data)

    async def send(self, data, wait=True):
        if self.request.method != "HEAD" or not wait:
            self.client.writer.write(data)
            await self.client.writer.drain()

    async def send_slowly(self, data):
        piece = self.do.get("throttle", 0) // 20 or len(data)
        for start in range(0, len(data), piece or 1):
            if "throttle" in self.do:
                await asyncio.sleep(0.05)
            await self.send(data[start:start + piece])

    def error_body(self):
        body, do = self.do.get("body"), self.do
        if body == "empty":
            return b""
        if body == "garbage":
            return b"<html><body>\x00\xff this is not what you asked for </body>" * 40
        if body:
            with open(body, "rb") as file:
                return file.read()
        region = f"<Region>{do['region']}</Region>" if "region" in do else ""
        return (f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{do.get("code", "InternalError")}</Code>'
                f"<Message></Message>{region}<RequestId>fault</RequestId></Error>").encode()

    async def answer_ourselves(self):
        body, do = self.error_body(), self.do
        self.status = do["status"]
        lines = [f"HTTP/1.1 {self.status} Fault", f"Content-Length: {len(body)}", "Content-Type: application/xml",
                 f"Date: {email.utils.formatdate(usegmt=True)}"]
        if "retry_after" in do:
            lines.append(f"Retry-After: {do['retry_after']}")
        if "region" in do:
            lines.append(f"x-amz-bucket-region: {do['region']}")
        lines += [f"{name}: {value}" for name, value in do.get("headers", [])]
        keep = not self.request.header(b"expect")
        lines += ["Connection: " + ("keep-alive" if keep else "close"), "", ""]
        await self.send("\r\n".join(lines).encode(), wait=False)
        await self.send(body)
        return keep

    async def answer_huge(self):
        self.status = 200
        entry = b"<Contents><Key>%010d</Key><Size>1</Size><ETag>&quot;0&quot;</ETag></Contents>"
        await self.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nConnection: close\r\n\r\n", wait=False)
        await self.send(b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>')
        for start in range(0, self.do["xml"] // 80, 1000):
            await self.send(b"".join(entry % i for i in range(start, start + 1000)))
        await self.send(b"</ListBucketResult>")
        return False

    async def run(self):
        """True when the client's connection can be used again."""
        do = self.do
        if "latency" in do:
            await asyncio.sleep(do["latency"] / 1000)
        await self.fault_at("before")
        if "xml" in do:
            await self.drain_request()
            return await self.answer_huge()
        if "status" in do and do.get("when") != "after":
            await self.drain_request()
            return await self.answer_ourselves()
        for attempt in (0, 1):
            server = await self.proxy.take_server(attempt)
            try:
                return await self.forward(server)
            except Gone:
                # a kept connection that the server closed meanwhile: once more, if nothing was lost
                if attempt or server.fresh or self.sent or self.status:
                    raise
        return False

    async def forward(self, server):
        pump, clean = None, False
        server.writer.write(self.request.raw)
        has_body = bool(self.request.header(b"content-length") not in (b"", b"0")
                        or self.request.header(b"transfer-encoding"))
        if has_body:
            pump = asyncio.ensure_future(self.pump_request(server))
        try:
            answer = await read_head(server.reader)
            while answer.words[1] == "100":
                await self.send(answer.raw, wait=False)
                answer = await read_head(server.reader)
            clean = await self.pass_back(server, answer) and (pump is None or pump.done())
        finally:
            if pump and not pump.done():
                pump.cancel()
            if clean and answer.header(b"connection").lower() != b"close":
                self.proxy.idle.append(server)
            else:
                server.writer.transport.abort()
        return clean and self.request.header(b"connection").lower() != b"close"

    async def pump_request(self, server):
        try:
            async for data in body_pieces(self.request, self.client.reader, False):
                self.sent += len(data)
                server.writer.write(data)
                await server.writer.drain()
        except (Gone, OSError, asyncio.IncompleteReadError):
            server.writer.transport.abort()

    async def pass_back(self, server, answer):
        do = self.do
        if "latency_back" in do:
            await asyncio.sleep(do["latency_back"] / 1000)
        no_body = self.request.method == "HEAD" or answer.words[1] in ("204", "304")
        if "after" in (do.get("reset"), do.get("stall"), do.get("when")):
            if not no_body:  # the request took effect, and nobody will know
                async for data in body_pieces(answer, server.reader, True):
                    self.got += len(data)
            await self.fault_at("after")
            return await self.answer_ourselves()
        shown, end = Head(answer.raw), None
        for name, value in do.get("headers", []):
            shown.replace(name, value)
        pieces = body_pieces(answer, server.reader, True)
        if not no_body and (do.keys() & {"truncate", "shorten"} or "body" in (do.get("reset"), do.get("stall"))):
            if not answer.header(b"content-length"):  # its end must be known to cut it there
                whole = b"".join([data async for data in body_pieces(answer, server.reader, True, framed=False)])
                shown.remove(b"transfer-encoding")
                shown.replace("Content-Length", len(whole))
                pieces = one_piece(whole)
            length = int(shown.header(b"content-length"))
            end = do.get("truncate", do.get("shorten", length // 2))
            end = max(0, min(length, end if end >= 0 else length + end))
            if "shorten" in do:
                shown.replace("Content-Length", end)
        self.status = int(answer.words[1])
        await self.send(shown.raw, wait=False)
        if no_body:
            return True
        async for data in pieces:
            at = do.get("corrupt", -1) - self.got
            if 0 <= at < len(data):
                data = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1:]
            rest = len(data) if end is None else max(0, min(len(data), end - self.got))
            self.got += len(data)
            await self.send_slowly(data[:rest])
            if rest < len(data) and "shorten" not in do:
                await self.fault_at("body")
                raise Gone
        return bool(answer.header(b"content-length") or answer.header(b"transfer-encoding"))

    def record(self):
        path, _, query = self.request.target.partition("?")
        headers = {k.decode().lower(): v.strip().decode("latin-1") for k, v in self.request.fields
                   if k.lower() not in SECRET}
        signature = self.request.header(b"authorization").decode("latin-1")
        signed = re.search(r"SignedHeaders=([^,\s]*)", signature)
        scope = re.search(r"Credential=[^/]*/([^,\s]*)", signature)
        return {"t": round(self.started, 4), "ms": round((time.time() - self.started) * 1000, 1),
                "method": self.request.method, "path": path, "query": query, "status": self.status,
                "sent": self.sent, "got": self.got, "fault": self.do or None,
                "signed": signed and signed[1], "scope": scope and scope[1], "headers": headers}


class Connection:
    def __init__(self, reader, writer, fresh=True):
        self.reader, self.writer, self.fresh = reader, writer, fresh
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Proxy:
    def __init__(self, options):
        self.options, self.idle, self.count = options, [], 0
        self.rules = Rules(options.rules, options.seed)
        self.log = open(options.log, "a", buffering=1, encoding="utf-8")

    async def take_server(self, fresh):
        while self.idle and not fresh:
            server = self.idle.pop()
            if not server.reader.at_eof() and not server.writer.is_closing():
                server.fresh = False
                return server
        try:
            return Connection(*await asyncio.open_connection("127.0.0.1", self.options.upstream, limit=LIMIT))
        except OSError:
            raise Gone from None

    async def serve(self, reader, writer):
        client = Connection(reader, writer)
        try:
            while True:
                exchange = Exchange(self, client, await read_head(reader))
                try:
                    again = await exchange.run()
                finally:
                    self.count += 1
                    self.log.write(json.dumps({"n": self.count, **exchange.record()}) + "\n")
                if not again:
                    break
        except (Gone, OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def tls(self):
        if not self.options.tls:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.options.tls)
        return context

    async def main(self):
        server = await asyncio.start_server(self.serve, self.options.address, self.options.port, limit=LIMIT, backlog=512,
                                            ssl=self.tls())
        port = server.sockets[0].getsockname()[1]
        if self.options.port_file:
            with open(self.options.port_file + ".new", "w", encoding="ascii") as file:
                file.write(f"{port}\n")
            os.rename(self.options.port_file + ".new", self.options.port_file)
        await server.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("upstream", type=int)
    parser.add_argument("--rules", required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port-file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tls")
    try:
        asyncio.run(Proxy(parser.parse_args()).main())
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
