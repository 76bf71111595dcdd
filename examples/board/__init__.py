"""The demonstration: a shared drawing board, an upload, a clock and what the gateway saw; see README.md here."""
