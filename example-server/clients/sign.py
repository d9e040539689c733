#!/usr/bin/env python3
"""Sends a signed request (RFC 9421, hmac-sha256) using only the standard library, and prints the answer.

export APP_ID=demo-server KEY_ID=demo-server-1 APP_SECRET=... APP_ORIGIN=https://shop.example
python3 sign.py POST http://127.0.0.1:3000/auth/v2/connect '{"request_id":"1", ... }'
"""

import base64
import hashlib
import hmac
import http.client
import os
import secrets
import sys
import time
from urllib.parse import urlsplit


def signed_headers(method, url, headers, body):
    """Returns the given headers with the digest and the signature."""
    parts = urlsplit(url)
    default_port = {"http": 80, "https": 443}[parts.scheme]
    host = parts.hostname if ":" not in parts.hostname else f"[{parts.hostname}]"
    authority = host if parts.port in (None, default_port) else f"{host}:{parts.port}"
    headers = {name.lower(): value for name, value in headers.items()}
    if body:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers["content-digest"] = f"sha-256=:{digest}:"

    covered = {
        "@method": method,
        "@authority": authority,
        "@path": parts.path or "/",
        "@query": f"?{parts.query}",
        **headers,
    }
    names = " ".join(f'"{name}"' for name in covered)
    nonce = secrets.token_hex(16)
    params = f'({names});created={int(time.time())};keyid="{os.environ["KEY_ID"]}";nonce="{nonce}"'
    lines = [f'"{name}": {value}' for name, value in covered.items()]
    signature_base = "\n".join([*lines, f'"@signature-params": {params}'])

    secret = base64.b64decode(os.environ["APP_SECRET"], validate=True)
    mac = hmac.new(secret, signature_base.encode("ascii"), hashlib.sha256).digest()
    return {
        **headers,
        "signature-input": f"sig1={params}",
        "signature": f"sig1=:{base64.b64encode(mac).decode()}:",
    }


def send(method, url, body):
    headers = {"x-app-id": os.environ["APP_ID"]}
    if origin := os.environ.get("APP_ORIGIN"):
        headers["x-origin"] = origin
    if token := os.environ.get("ACCESS_TOKEN"):
        headers["authorization"] = f"Bearer {token}"
    if body:
        headers["content-type"] = "application/json"
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=10)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # http.client does not follow redirects, which is right: a signature is valid for one URL.
    connection.request(method, target, body or None, signed_headers(method, url, headers, body))
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit("usage: sign.py METHOD URL [BODY]")
    for name in ("APP_ID", "KEY_ID", "APP_SECRET"):
        if not os.environ.get(name):
            sys.exit(f"{name} is not set")
    status, text = send(sys.argv[1], sys.argv[2], "".join(sys.argv[3:4]).encode())
    print(text)
    print(status)
