"""Signs requests as a carrier would, with a library that is not ours.

Reads one JSON object from standard input: how many, the gateway's URL, when they are created, and the keys. Writes one
JSON object a line: method, path, header fields and body of a signed request.
"""

import base64
import datetime
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

# Different carriers will sign different parts; each of these is enough.
COMPONENTS = [
    ("@method", "@target-uri", "content-digest"),
    ("@method", "@authority", "@path", "@query", "content-digest", "content-type"),
    ("content-type", "date", "@method", "@request-target", "@authority", "content-digest"),
]


class Request:
    def __init__(self, method, url, headers):
        self.method, self.url, self.headers = method, url, headers


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, keys):
        self.keys = keys

    def resolve_public_key(self, key_id):
        raise NotImplementedError

    def resolve_private_key(self, key_id):
        return self.keys[key_id]


def main():
    task = json.load(sys.stdin)
    secret = base64.b64decode(task["hmac"]["secret"])
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(task["ed25519"]["private"]))
    keys = Keys({task["hmac"]["id"]: secret, task["ed25519"]["id"]: private})
    signers = [
        (task["hmac"]["id"], HTTPMessageSigner(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=keys)),
        (task["ed25519"]["id"], HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=keys)),
    ]
    created = datetime.datetime.fromtimestamp(task["created"], datetime.timezone.utc)
    for index, text in enumerate(task["bodies"]):
        body = text.encode()
        algorithm = "sha-256" if index % 3 else "sha-512"
        digest = hashlib.new(algorithm.replace("-", ""), body).digest()
        path = "/v1/reports" if index % 5 else "/v1/reports?from=%2Fa&b"
        headers = {
            "Host": task["url"].split("://")[1],
            "Date": "Tue, 24 Nov 2026 08:00:00 GMT",
            "Content-Type": "application/json",
            "Content-Digest": f"{algorithm}=:{base64.b64encode(digest).decode()}:",
        }
        request = Request("POST", task["url"] + path, headers)
        key_id, signer = signers[index % 2]
        signer.sign(
            request,
            key_id=key_id,
            created=created,
            nonce=f"nonce-{index}",
            label=f"sig{index % 4}",
            include_alg=index % 7 > 0,
            covered_component_ids=COMPONENTS[index % len(COMPONENTS)],
            body=body,
            use_existing_digest=True,
        )
        print(json.dumps({"path": path, "headers": request.headers, "body": text}))


main()
