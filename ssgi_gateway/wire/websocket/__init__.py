"""WebSockets (RFC 6455) once they are open, and the handshake that opens them, whatever carried it."""
