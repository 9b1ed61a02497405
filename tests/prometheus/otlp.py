"""Spans of the real binary, read by the message types that OpenTelemetry publishes: nothing that they do not know, and each
field of its type and length."""

import base64
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

THEIRS = "0af7651916cd43dd8448eb211c80319c"
THEIR_SPAN = "b7ad6b7169203331"
posted = []
forwarded = []


class Server(http.server.BaseHTTPRequestHandler):
    """The portal and the collector, by path."""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/v1/traces":
            posted.append((self.headers["content-type"], json.loads(body)))
        else:
            forwarded.append(self.headers["traceparent"])
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


def ids_as_bytes(node):
    """OTLP has ids in hexadecimal where JSON of protocol buffers has base64."""
    if isinstance(node, list):
        return [ids_as_bytes(one) for one in node]
    if not isinstance(node, dict):
        return node
    known = ("traceId", "spanId", "parentSpanId")
    for name in known:
        assert re.fullmatch("[0-9a-f]*", node.get(name, "")), node
    return {
        name: base64.b64encode(bytes.fromhex(value)).decode() if name in known else ids_as_bytes(value)
        for name, value in node.items()
    }


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
port, admin = free_port(), free_port()
with tempfile.TemporaryDirectory() as folder:
    config = Path(folder) / "config.yaml"
    config.write_text(f"""
listen: {{ address: "127.0.0.1:{port}", trusted_proxies: [127.0.0.1] }}
admin: {{ address: "127.0.0.1:{admin}" }}
portals:
  - public_url: "http://127.0.0.1:{port}"
    upstream: {{ url: "http://127.0.0.1:{server.server_port}" }}
    mode: "off"
logging: {{ level: warn, access: false }}
traces: {{ endpoint: "http://127.0.0.1:{server.server_port}/v1/traces", sample: 0, service: partners }}
""")
    began = time.time_ns()
    anteport = subprocess.Popen([os.environ["ANTEPORT"], "run", "--config", config], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert anteport.poll() is None, "it ended"
                time.sleep(0.05)
        for path, flag in (("/page?a=query", "01"), ("/a%2Fb", "01"), ("/silent", "00")):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path, headers={"traceparent": f"00-{THEIRS}-{THEIR_SPAN}-{flag}"})
            connection.getresponse().read()
    finally:
        anteport.terminate()
        assert anteport.wait(30) == 0
ended = time.time_ns()

spans = []
for kind, body in posted:
    assert kind == "application/json", kind
    request = json_format.Parse(json.dumps(ids_as_bytes(body)), ExportTraceServiceRequest())
    for resource in request.resource_spans:
        told = {one.key: one.value.string_value for one in resource.resource.attributes}
        assert told["service.name"] == "partners" and told["service.version"] and told["service.instance.id"], told
        spans += [span for scope in resource.scope_spans for span in scope.spans]
# What is on its way when the process ends is sent once more: a collector knows a span by its id.
spans = list({span.span_id: span for span in spans}.values())
assert len(spans) == 3, spans
for span in spans:
    assert len(span.trace_id) == 16 and len(span.span_id) == 8 and span.trace_id.hex() == THEIRS, span
    # Its clock has milliseconds.
    assert began - 10**6 <= span.start_time_unix_nano <= span.end_time_unix_nano <= ended + 10**6, span
    assert all("query" not in str(one) for one in span.attributes), span
refused = next(span for span in spans if any(one.key == "error.type" for one in span.attributes))
page = next(span for span in spans if any(one.value.string_value == "/page" for one in span.attributes))
portal = next(span for span in spans if span.parent_span_id == page.span_id)
for span, kind in ((page, Span.SPAN_KIND_SERVER), (refused, Span.SPAN_KIND_SERVER), (portal, Span.SPAN_KIND_CLIENT)):
    assert span.kind == kind, span
    assert span.status.code == Status.STATUS_CODE_UNSET, "a visitor's fault is none of ours"
assert page.parent_span_id.hex() == THEIR_SPAN
status = next(one for one in page.attributes if one.key == "http.response.status_code")
assert status.value.int_value == 200, page
assert f"00-{THEIRS}-{portal.span_id.hex()}-01" in forwarded, forwarded
assert f"00-{THEIRS}-{THEIR_SPAN}-00" in forwarded, "what is not traced goes on as it came"
print("OpenTelemetry's own types read the spans of a request, of the wait for the portal, and of a refusal")
