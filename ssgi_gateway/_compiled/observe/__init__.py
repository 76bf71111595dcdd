"""The hot modules, compiled: the same names as in ``ssgi_gateway``, put here by ``setup.py`` when it can."""
