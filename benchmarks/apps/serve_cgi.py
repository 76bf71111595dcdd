"""The same answer by what Python has: a CGI program with wsgiref."""

from wsgiref.handlers import CGIHandler

from on_wsgi import hello

CGIHandler().run(hello)
