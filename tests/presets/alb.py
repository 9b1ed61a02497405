"""What AWS's documentation tells a portal behind a load balancer to do, with PyJWT: argv has the key's URL without the
key id, the signer, and the header's value."""

import base64
import json
import sys
import urllib.request

import jwt

keys, signer, token = sys.argv[1:]
header = json.loads(base64.b64decode(token.split(".")[0]))
assert header["signer"] == signer, header
with urllib.request.urlopen(keys + "/" + header["kid"]) as answer:
    key = answer.read().decode()
print(json.dumps(jwt.decode(token, key, algorithms=["ES256"])))
