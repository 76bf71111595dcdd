"""flup's servers. Usage: serve_flup.py scgi|fastcgi PATH"""

import logging
import sys
import types

import on_wsgi

types.StringTypes = (str, bytes)  # flup was written for Python 2


def main():
    protocol, path = sys.argv[1:]
    if protocol == "scgi":
        from flup.server.scgi import WSGIServer
    else:
        from flup.server.fcgi import WSGIServer
    logging.getLogger("scgi-wsgi").setLevel(logging.WARNING)  # it logs each request
    WSGIServer(on_wsgi.hello, bindAddress=path, umask=0).run()


main()
