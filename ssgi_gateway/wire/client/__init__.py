"""The protocols in the client's role: requests in, bytes out; bytes in, events out."""
