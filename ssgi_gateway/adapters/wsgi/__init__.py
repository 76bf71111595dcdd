"""WSGI applications, called by SSGI: in threads or inline."""
