"""What an application meets: responses, WebSockets, headers, bodies. Knows no protocol and no socket."""
