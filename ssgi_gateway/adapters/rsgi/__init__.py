"""RSGI applications, called by SSGI."""
