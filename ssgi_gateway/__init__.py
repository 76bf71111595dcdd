"""ssgi-gateway: Python web applications behind the web server you already have, over SCGI, FastCGI and WebSockets."""

__version__ = "0.1.0"
