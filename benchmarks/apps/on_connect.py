"""connectrpc as an ASGI application, with Google's protobuf, whose core is C."""

from connectrpc.compat import google_protobuf_codecs
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint
from sums import Pair, Sum


class Service:
    async def add(self, request, context):
        return Sum(value=request.one + request.two)


METHOD = MethodInfo(
    name="Add", service_name="sums.Sums", input=Pair, output=Sum, idempotency_level=IdempotencyLevel.UNKNOWN,
    stream_type=StreamType.UNARY,
)  # fmt: skip


class Application(ConnectASGIApplication):
    path = "/sums.Sums"


app = Application(
    service=Service(),
    endpoints=lambda service: {"/sums.Sums/Add": Endpoint.unary(method=METHOD, function=service.add)},
    codecs=google_protobuf_codecs(),
)
