"""grpc.aio, the server of grpcio. Usage: serve_grpc.py PORT"""

import asyncio
import sys

import grpc
from sums import Pair, Sum


async def add(request, context):
    return Sum(value=request.one + request.two)


async def main():
    server = grpc.aio.server()
    method = grpc.unary_unary_rpc_method_handler(add, Pair.FromString, Sum.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("sums.Sums", {"Add": method}),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    await server.start()
    await server.wait_for_termination()


asyncio.run(main())
