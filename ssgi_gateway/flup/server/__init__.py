"""``flup.server``: a module for each of its servers, each with ``WSGIServer``."""
