"""The only sockets: listeners, connections, flow control, deadlines, drain. Knows no interface."""
