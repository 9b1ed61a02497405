"""Asks as Envoy does over gRPC, by grpcio and with Envoy's own messages: a request in a line of JSON, and what is told in another."""

import json
import sys

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc


def question(asked):
    check = external_auth_pb2.CheckRequest()
    attributes = check.attributes
    attributes.source.address.socket_address.address = "192.0.2.1"
    attributes.source.address.socket_address.port_value = 50000
    attributes.source.certificate = "-----BEGIN%20CERTIFICATE-----"
    attributes.destination.address.socket_address.address = "198.51.100.1"
    attributes.context_extensions["portal"] = "members"
    attributes.request.time.GetCurrentTime()
    http = attributes.request.http
    http.id, http.protocol, http.size = "7", "HTTP/2", -1
    http.method, http.scheme, http.host, http.path = asked["method"], "https", asked["host"], asked["target"]
    pseudo = [(":authority", http.host), (":path", http.path), (":method", http.method), (":scheme", http.scheme)]
    headers = pseudo + asked["headers"]
    if asked["raw"]:
        for name, value in headers:
            http.header_map.headers.add(key=name.lower(), raw_value=value.encode())
        http.raw_body = asked["body"].encode()
    else:
        for name, value in headers:
            before = http.headers.get(name.lower())
            http.headers[name.lower()] = value if before is None else f"{before},{value}"
        http.body = asked["body"]
    return check


def options(headers):
    action = base_pb2.HeaderValueOption.HeaderAppendAction.Name
    return [[one.header.key, one.header.value, action(one.append_action)] for one in headers]


def told(check):
    which = check.WhichOneof("http_response")
    if which == "ok_response":
        ok = check.ok_response
        more = {"set": options(ok.headers), "remove": list(ok.headers_to_remove), "add": options(ok.response_headers_to_add)}
    else:
        denied = check.denied_response
        more = {"status": denied.status.code, "headers": options(denied.headers), "body": denied.body}
    return {"code": check.status.code, "which": which, **more}


with grpc.insecure_channel(sys.argv[1]) as channel:
    stub = external_auth_pb2_grpc.AuthorizationStub(channel)
    for line in sys.stdin:
        print(json.dumps(told(stub.Check(question(json.loads(line)), timeout=20))), flush=True)
