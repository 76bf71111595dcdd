"""SCGI."""
