"""The h2 library behind the interface of ``Http2Client``: the other twin, for tests that hold both against each other.

It is not what the client uses, for what ``wire/client/http2_frames.py`` says. What h2 does not know of is left out
here: bounds on what a peer may make us do, and streams that go on after a GOAWAY.
"""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from ssgi_gateway.errors import GoAway, RemoteProtocolError, StreamReset
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived, InformationalReceived
from ssgi_gateway.wire.client.http2_compression import MAX_HEAD, field_section
from ssgi_gateway.wire.client.http2_receiving import CONNECTION_WINDOW
from ssgi_gateway.wire.client.http2_sending import DEFAULT_WINDOW
from ssgi_gateway.wire.client.http2_stream import WINDOW

__all__ = ["TwinClient"]


class TwinClient:
    """One connection; ``receive``, ``begin``, ``send`` and ``take_output`` are those of ``Http2Client``."""

    def __init__(self):
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD,
            },
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - DEFAULT_WINDOW)
        self._left = {}

    def take_output(self):
        out = self._h2.data_to_send()
        return [out] if out else []

    def output_written(self):
        pass

    def begin(self, request):
        number = self._h2.get_next_available_stream_id()
        self._h2.send_headers(number, field_section(request), end_stream=not request.has_body)
        return number

    def receive(self, data, now):
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            raise RemoteProtocolError(str(error)) from None
        found = []
        for event in events:
            told = self._told(event)
            if told is not None:
                found.append((event.stream_id, told))
        return found

    def _told(self, event):
        if isinstance(event, h2.events.InformationalResponseReceived):
            return InformationalReceived(int(dict(event.headers)[b":status"]), event.headers[1:])
        if isinstance(event, h2.events.ResponseReceived):
            fields = [(bytes(name), bytes(value)) for name, value in event.headers]
            return AnswerReceived(int(fields[0][1]), fields[1:], "2", event.stream_ended is None, False)
        if isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            return BodyArrived(event.data)
        if isinstance(event, h2.events.TrailersReceived):
            self._left[event.stream_id] = [(bytes(name), bytes(value)) for name, value in event.headers]
            return None
        if isinstance(event, h2.events.StreamEnded):
            return AnswerEnded(self._left.pop(event.stream_id, []))
        if isinstance(event, h2.events.StreamReset):
            return StreamReset(int(event.error_code))
        if isinstance(event, h2.events.ConnectionTerminated):
            raise GoAway(int(event.error_code))
        return None
