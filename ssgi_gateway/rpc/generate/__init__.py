"""Clients with types, generated from a server's schema."""
