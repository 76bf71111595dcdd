"""uwsgi: the protocol of ``uwsgi_pass``, by which uWSGI is reached."""
