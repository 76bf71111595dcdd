"""picows with msgspec and a dictionary, which checks nothing: the limit of calls over WebSockets.

Usage: serve_picows_rpc.py PORT
"""

import sys

import msgspec
import picows
import uvloop

DECODE, ENCODE = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode
PROCEDURES = {"add": lambda data: data[0] + data[1]}


class Calls(picows.WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == picows.WSMsgType.BINARY:
            seq, data, rpc = DECODE(frame.get_payload_as_bytes())
            transport.send(picows.WSMsgType.BINARY, ENCODE((seq, PROCEDURES[rpc](data), 0, None, None)))
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()


def answer(request):
    accepted = picows.WSUpgradeResponse.create_101_response(extra_headers={"Sec-WebSocket-Protocol": "swill.1"})
    return picows.WSUpgradeResponseWithListener(accepted, Calls())


async def main():
    server = await picows.ws_create_server(answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(main())
