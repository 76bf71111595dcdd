"""One file an interface: each turns an application into an SSGI callable. Knows no socket."""
