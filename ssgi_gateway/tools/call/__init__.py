"""``ssgi-gateway call``: curl for SCGI and FastCGI, and the health probe.

It drives the pure codecs of ``wire/client`` over one blocking socket, and so starts without asyncio, ssl and h2.
"""
