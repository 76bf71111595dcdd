"""ASGI applications, called by SSGI."""
