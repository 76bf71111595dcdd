"""Settings: ``schema`` lists them, ``sources`` finds what was given, ``values`` reads it.

What programs need that start a server themselves is here.
"""

from ssgi_gateway.settings.schema import Deadlines, FlowControl, Settings, WebSocketSettings, WireLimits

__all__ = ["Deadlines", "FlowControl", "Settings", "WebSocketSettings", "WireLimits"]
