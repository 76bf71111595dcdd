"""The other way round: an SSGI application for any ASGI server."""
