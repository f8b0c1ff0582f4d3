#!/usr/bin/env python3
"""A small S3 client, so that tests look at a bucket without the code under test.

Standard library only. Place and keys come from the environment:
    S3_ENDPOINT (http://host:port, used in path style)  S3_BUCKET  S3_ACCESS_KEY  S3_SECRET_KEY  S3_REGION
Keys are bytes: whatever the shell passes is what the bucket gets. See COMMANDS at the end."""
import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import os
import sys
import threading
import time
import urllib.parse
import xml.etree.ElementTree as ET

EMPTY = hashlib.sha256(b"").hexdigest()
THREADS = 8


class Refused(Exception):
    """An answer that is not a success."""

    def __init__(self, status, code, what):
        super().__init__(f"{status} {code} for {what}")
        self.status, self.code = status, code


def percent(data, safe=""):
    return urllib.parse.quote_from_bytes(data, safe=safe + "-._~")


def hmac256(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def tag(element):
    return element.tag.rsplit("}", 1)[-1]


def children(element, name):
    return [e for e in element if tag(e) == name]


def text_of(element, name, default=""):
    found = children(element, name)
    return (found[0].text or "") if found else default


class S3:
    def __init__(self, endpoint=None, bucket=None, access=None, secret=None, region=None):
        env = os.environ.get
        url = urllib.parse.urlsplit(endpoint or env("S3_ENDPOINT", ""))
        if url.scheme not in ("http", "https") or not url.netloc:
            raise SystemExit("s3.py: S3_ENDPOINT is not http://host:port")
        self.url, self.bucket = url, bucket or env("S3_BUCKET", "")
        self.access = access or env("S3_ACCESS_KEY", "")
        self.secret = secret or env("S3_SECRET_KEY", "")
        self.region = region or env("S3_REGION", "us-east-1")
        self.local = threading.local()

    # -- one request --

    def sign(self, method, path, query, headers, payload_hash):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers["x-amz-date"] = now
        headers["x-amz-content-sha256"] = payload_hash
        names = sorted(n.lower() for n in headers)
        lines = "".join(f"{n}:{' '.join(headers[n].split())}\n" for n in names)
        request = "\n".join([method, path, query, lines, ";".join(names), payload_hash])
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        key = ("AWS4" + self.secret).encode()
        for part in (now[:8], self.region, "s3", "aws4_request"):
            key = hmac256(key, part)
        signature = hmac256(key, f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}").hex()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access}/{scope}, "
                                    f"SignedHeaders={';'.join(names)}, Signature={signature}")

    def connection(self, fresh):
        if fresh or getattr(self.local, "connection", None) is None:
            kind = http.client.HTTPSConnection if self.url.scheme == "https" else http.client.HTTPConnection
            self.local.connection = kind(self.url.hostname, self.url.port, timeout=60)
        return self.local.connection

    def request(self, method, key=b"", query=None, headers=None, body=b"", good=(200, 204, 206)):
        """(status, headers, body); anything but `good` raises Refused."""
        path = "/" + percent(os.fsencode(self.bucket)) + ("/" + percent(key, "/") if key else "")
        pairs = sorted((percent(k.encode()), percent(v if isinstance(v, bytes) else str(v).encode()))
                       for k, v in (query or {}).items())
        query_text = "&".join(f"{k}={v}" for k, v in pairs)
        send = {k.lower(): v for k, v in (headers or {}).items()}
        send["host"] = self.url.netloc
        self.sign(method, path, query_text, send, hashlib.sha256(body).hexdigest() if body else EMPTY)
        target = path + ("?" + query_text if query_text else "")
        for attempt in range(15):
            try:
                connection = self.connection(attempt)
                connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
                for name, value in send.items():
                    connection.putheader(name, value)
                if body or method in ("PUT", "POST"):
                    connection.putheader("content-length", str(len(body)))
                connection.endheaders(body or None)
                answer = connection.getresponse()
                data = answer.read()
                if answer.status != 503 or attempt == 14:  # a test's server that is overloaded, not one that is tested
                    break
                time.sleep(1)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if attempt:
                    raise
        if answer.status not in good:
            try:
                code = text_of(ET.fromstring(data), "Code", "?")
            except ET.ParseError:
                code = "?"
            raise Refused(answer.status, code, f"{method} {target}")
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data

    # -- operations --

    def list(self, prefix=b"", delimiter=b""):
        """Yields (key, size, etag); folders of a delimiter listing as (prefix, None, '')."""
        token = None
        while True:
            query = {"list-type": 2, "encoding-type": "url", "prefix": prefix, "delimiter": delimiter}
            if token:
                query["continuation-token"] = token
            root = ET.fromstring(self.request("GET", query=query)[2])
            plain = not text_of(root, "EncodingType")
            decode = (lambda t: t.encode()) if plain else urllib.parse.unquote_to_bytes
            for item in children(root, "Contents"):
                yield (decode(text_of(item, "Key")), int(text_of(item, "Size")),
                       text_of(item, "ETag").strip('"'))
            for item in children(root, "CommonPrefixes"):
                yield decode(text_of(item, "Prefix")), None, ""
            token = text_of(root, "NextContinuationToken")
            if text_of(root, "IsTruncated") != "true" or not token:
                return

    def get(self, key, headers=None):
        return self.request("GET", key, headers=headers)[2]

    def head(self, key):
        return self.request("HEAD", key)[1]

    def put(self, key, body, headers=None):
        return self.request("PUT", key, headers=headers, body=body)[1]

    def delete(self, key):
        self.request("DELETE", key)

    def acl(self, key):
        root = ET.fromstring(self.request("GET", key, query={"acl": ""})[2])
        public = [text_of(grant, "Permission") for element in root.iter() if tag(element) == "Grant"
                  for grant in [element] if any((e.text or "").endswith("/AllUsers") for e in grant.iter())]
        return {"": "private", "READ": "public-read"}.get(",".join(sorted(public)), ",".join(public))

    def set_acl(self, key, acl):
        self.request("PUT", key, query={"acl": ""}, headers={"x-amz-acl": acl})

    def uploads(self):
        root = ET.fromstring(self.request("GET", query={"uploads": ""})[2])
        return [(text_of(u, "Key").encode(), text_of(u, "UploadId")) for u in children(root, "Upload")]

    def multipart(self, key, body, part_size, headers=None, complete=True):
        root = ET.fromstring(self.request("POST", key, query={"uploads": ""}, headers=headers)[2])
        upload = text_of(root, "UploadId")
        parts = []
        for start in range(0, len(body), part_size):
            number = len(parts) + 1
            answer = self.request("PUT", key, query={"partNumber": number, "uploadId": upload},
                                  body=body[start:start + part_size])[1]
            parts.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{answer['etag']}</ETag></Part>")
        if complete:
            xml = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>"
            self.request("POST", key, query={"uploadId": upload}, body=xml.encode())
        return upload

    def each(self, work, things):
        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(work, things))


def tree_of(folder):
    """{relative path: size} of files and symlinks below folder."""
    found, top = {}, os.fsencode(folder)
    for base, folders, files in os.walk(top):
        links = [d for d in folders if os.path.islink(os.path.join(base, d))]
        for name in files + links:
            path = os.path.join(base, name)
            found[os.path.relpath(path, top)] = os.lstat(path).st_size
    return found


def body_of(path):
    if os.path.islink(path):
        return os.readlink(path)
    with open(path, "rb") as file:
        return file.read()


def differences(s3, folder, prefix, names_only):
    """What would have to change for the bucket to hold exactly the files below folder."""
    tree, lines, top = tree_of(folder), [], os.fsencode(folder)
    objects = {k[len(prefix):]: (size, etag) for k, size, etag in s3.list(prefix)}
    lines += [f"missing in the bucket: {os.fsdecode(k)}" for k in sorted(tree.keys() - objects.keys())]
    lines += [f"only in the bucket: {os.fsdecode(k)}" for k in sorted(objects.keys() - tree.keys())]

    def compare(key):
        size, etag = objects[key]
        if size != tree[key]:
            return f"size {size} in the bucket, {tree[key]} here: {os.fsdecode(key)}"
        if names_only:
            return None
        body = body_of(os.path.join(top, key))
        if hashlib.md5(body).hexdigest() == etag or s3.get(prefix + key) == body:
            return None
        return f"other content in the bucket: {os.fsdecode(key)}"

    both = sorted(tree.keys() & objects.keys())
    return lines + [line for line in s3.each(compare, both) if line]


def header_arguments(words):
    return dict(word.split(":", 1) for word in words)


def out(data):
    sys.stdout.buffer.write(data if isinstance(data, bytes) else os.fsencode(data))


def read_input(name):
    if name == "-":
        return sys.stdin.buffer.read()
    with open(name, "rb") as file:
        return file.read()


def run_ls(s3, *words):
    long = words[:1] == ("-l",)
    prefix = os.fsencode(words[long]) if len(words) > long else b""
    for key, size, etag in s3.list(prefix):
        out((f"{size} {etag} ".encode() if long else b"") + key + b"\n")


def run_get(s3, key, target="-", *headers):
    body = s3.get(os.fsencode(key), header_arguments(headers))
    if target == "-":
        return out(body)
    with open(target, "wb") as file:
        file.write(body)


def run_head(s3, key, name=None):
    headers = s3.head(os.fsencode(key))
    if name is None:
        for line in sorted(headers.items()):
            print(": ".join(line))
    elif name in headers:
        print(headers[name])


def run_putdir(s3, folder, prefix="", *headers):
    top = os.fsencode(folder)
    s3.each(lambda key: s3.put(os.fsencode(prefix) + key, body_of(os.path.join(top, key)),
                               header_arguments(headers)), sorted(tree_of(folder)))


def run_diff(s3, *words):
    names_only = words[:1] == ("-n",)
    words = words[names_only:]
    lines = differences(s3, words[0], os.fsencode(words[1]) if words[1:] else b"", names_only)
    out("".join(line + "\n" for line in lines[:20]))
    if len(lines) > 20:
        print(f"… {len(lines)} differences")
    return 1 if lines else 0


def run_sums(s3, prefix=""):
    keys = [key for key, _, _ in s3.list(os.fsencode(prefix))]
    for key, digest in zip(keys, s3.each(lambda k: hashlib.md5(s3.get(k)).hexdigest(), keys)):
        out(digest.encode() + b"  " + key + b"\n")


def run_empty(s3):
    for key, upload in s3.uploads():
        s3.request("DELETE", key, query={"uploadId": upload})
    s3.each(s3.delete, [key for key, _, _ in s3.list()])


COMMANDS = {
    "mkbucket": ("", lambda s3: s3.request("PUT")),
    "rmbucket": ("", lambda s3: s3.request("DELETE")),
    "empty": ("delete every object and upload", run_empty),
    "ls": ("[-l] [PREFIX]; -l: size etag key", run_ls),
    "get": ("KEY [FILE|-] [NAME:VALUE…]", run_get),
    "head": ("KEY [NAME]: the headers, or the value of one", run_head),
    "put": ("KEY FILE|- [NAME:VALUE…]",
            lambda s3, key, file, *h: s3.put(os.fsencode(key), read_input(file), header_arguments(h)) and None),
    "putdir": ("FOLDER [PREFIX] [NAME:VALUE…]", run_putdir),
    "del": ("KEY…", lambda s3, *keys: s3.each(lambda k: s3.delete(os.fsencode(k)), keys) and None),
    "acl": ("KEY", lambda s3, key: print(s3.acl(os.fsencode(key)))),
    "setacl": ("KEY ACL", lambda s3, key, acl: s3.set_acl(os.fsencode(key), acl)),
    "uploads": ("key and id of each upload under way",
                lambda s3: [out(k + b" " + i.encode() + b"\n") for k, i in s3.uploads()] and None),
    "multipart": ("KEY FILE PART_BYTES [open]; open: never completed",
                  lambda s3, key, file, size, *w: print(s3.multipart(os.fsencode(key), read_input(file),
                                                                     int(size), complete=not w))),
    "diff": ("[-n] FOLDER [PREFIX]; -n: names and sizes only. 1 when they differ", run_diff),
    "sums": ("[PREFIX]: md5 and key of every object", run_sums),
}


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        print(__doc__, *(f"    {n} {text}" for n, (text, _) in COMMANDS.items()), sep="\n", file=sys.stderr)
        return 2
    try:
        result = COMMANDS[sys.argv[1]][1](S3(), *sys.argv[2:])
        return result if isinstance(result, int) else 0
    except Refused as error:
        print(f"s3.py: {error}", file=sys.stderr)
        return 4 if error.status == 404 else 3
    except (OSError, http.client.HTTPException) as error:
        print(f"s3.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 5


if __name__ == "__main__":
    sys.exit(main())
