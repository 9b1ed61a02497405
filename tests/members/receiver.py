"""A webhook as its documentation shows it, with the library that Standard Webhooks has for Python: who is
asked for is known if they were created here before. Prints its port."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SECRET = os.environ["WEBHOOK_SECRET"]
# Each with what was answered, which is gone with the account.
members = {}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            event = Webhook(SECRET).verify(body, dict(self.headers.items()))
        except WebhookVerificationError as error:
            return self.answer(401, {"error": str(error)})
        data = event["data"]
        member = data["member"]
        if data["ask"] == "lookup":
            decision = "admit" if member in members else "unknown"
            return self.answer(200, {"decision": decision})
        # The same request can come again: whoever is there is not created once more.
        if member not in members:
            members[member] = {"decision": "admit", "created": True, "claims": {"member_number": len(members) + 1}}
        self.answer(200, members[member])

    def answer(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
