#!/usr/bin/env python3
"""A stand-in for those who hand out credentials in a cloud: EC2's metadata service (version 2), ECS's and EKS's
credentials service, and STS, on one port of this computer. It checks what it is asked as strictly as they do.

    cloud.py --state FILE --log FILE --port-file FILE

    PUT /latest/api/token, GET /latest/meta-data/iam/security-credentials/[ROLE]    the instance's
    GET /container                                                                  the container's
    POST /                                                                          STS

The state file is read anew for each request; lines of NAME=VALUE:
    access_key secret token seconds     the key that is handed out, and for how long it is good (seconds= : for ever)
    authorization                       what GET /container must bring along
    identity                            the web identity's token that STS takes
    fault                               hang | slow | garbage | huge | moved | error | none (nothing but 404)
The log has one line a request: METHOD PATH STATUS."""
import argparse
import datetime
import http.server
import json
import threading
import time
import urllib.parse

ROLE = "media_role+1@example"
ROLES = "/latest/meta-data/iam/security-credentials/"
SESSION = "session==token-of-the-instance"
ARN = "arn:aws:iam::123456789012:role/media"


def read_state(path):
    with open(path, encoding="utf-8") as file:
        return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)


class Cloud(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options = None
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def note(self, status):
        with self.lock, open(self.options.log, "a", encoding="utf-8") as log:
            log.write(f"{self.command} {self.path} {status}\n")

    def reply(self, status, body, headers=()):
        self.note(status)
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def expiration(self):
        seconds = self.state.get("seconds", "")
        if not seconds:
            return None
        at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=float(seconds))
        return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def key(self):
        answer = {"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": self.state["access_key"],
                  "SecretAccessKey": self.state["secret"], "Token": self.state.get("token", "")}
        if self.expiration():
            answer["Expiration"] = self.expiration()
        return json.dumps(answer)

    def misbehave(self):
        """True: that was the answer."""
        fault = self.state.get("fault", "")
        if fault == "hang":
            self.note(0)
            time.sleep(120)
        elif fault == "slow":  # a byte now and then
            self.note(200)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(300):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.2)
        elif fault == "garbage":
            self.reply(200, bytes(range(256)) * 8)
        elif fault == "huge":
            self.note(200)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
            for _ in range(4096):
                self.wfile.write(b"A" * 65536)
        elif fault == "moved":
            self.reply(301, "", [("Location", f"http://{self.headers['Host']}/elsewhere")])
        elif fault == "error":
            self.reply(500, '{"code":"Broken","message":"' + self.state["secret"] + '"}')
        elif fault == "none":
            self.reply(404, "no such thing")
        else:
            return False
        self.close_connection = True
        return True

    def instance(self):
        if self.command == "PUT" and self.path == "/latest/api/token":
            ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
            good = ttl.isdigit() and 1 <= int(ttl) <= 21600 and not self.headers.get("X-Forwarded-For")
            self.reply(200 if good else 400, SESSION if good else "")
        elif self.headers.get("X-aws-ec2-metadata-token") != SESSION:
            self.reply(401, "")
        elif self.path == ROLES:
            self.reply(200, ROLE)
        else:
            self.reply(200 if self.path == ROLES + ROLE else 404, self.key())

    def sts(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        one = {name: values[0] for name, values in form.items()}
        code = ""
        if one.get("Action") != "AssumeRoleWithWebIdentity" or one.get("Version") != "2011-06-15":
            code = "InvalidAction"
        elif one.get("RoleArn") != ARN or not one.get("RoleSessionName"):
            code = "ValidationError"
        elif one.get("WebIdentityToken") != self.state.get("identity"):
            code = "InvalidIdentityToken"
        if code:
            return self.reply(400, '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
                              f"<Type>Sender</Type><Code>{code}</Code><Message>{one}</Message></Error></ErrorResponse>")
        end = f"<Expiration>{self.expiration()}</Expiration>" if self.expiration() else ""
        return self.reply(200, '<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
                          "<AssumeRoleWithWebIdentityResult><Audience>x</Audience><Credentials>"
                          f"<SessionToken>{self.state.get('token', '')}</SessionToken>"
                          f"<SecretAccessKey>{self.state['secret']}</SecretAccessKey>{end}"
                          f"<AccessKeyId>{self.state['access_key']}</AccessKeyId></Credentials>"
                          "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>")

    def any_method(self):
        self.state = read_state(self.options.state)
        try:
            if self.misbehave():
                return
            if self.path == "/container":
                wanted = self.state.get("authorization", "")
                given = self.headers.get("Authorization", "")
                self.reply(200 if given == wanted else 401, self.key())
            elif self.command == "POST" and self.path == "/":
                self.sts()
            else:
                self.instance()
        except OSError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = any_method


def main():
    parser = argparse.ArgumentParser()
    for name in ("--state", "--log", "--port-file"):
        parser.add_argument(name, required=True)
    Cloud.options = parser.parse_args()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    server.daemon_threads = True
    with open(Cloud.options.port_file, "w", encoding="utf-8") as file:
        file.write(str(server.server_address[1]))
    server.serve_forever()


main()
