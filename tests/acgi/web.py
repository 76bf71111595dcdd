"""A real nginx as the server that is asked: HTTP/1.1, HTTP/2 with and without TLS, large files, uploads."""

from __future__ import annotations

from contextlib import contextmanager

from tests.acgi.servers import executable, running
from tests.harness.nginx import free_ports

CONFIGURATION = """
worker_processes 1; daemon off; error_log error.log; pid pid;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path temp; proxy_temp_path temp2; fastcgi_temp_path temp3; scgi_temp_path temp4;
  uwsgi_temp_path temp5; client_max_body_size 0; keepalive_requests 1000000; default_type text/plain;
  server {{
    listen 127.0.0.1:{plain}; listen 127.0.0.1:{secure} ssl {h2tls}; listen 127.0.0.2:{secure} ssl;
    listen unix:{folder}/web.sock;
    ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ return 200 "hello\\n"; }}
    location /files/ {{ alias {folder}/files/; }}
    location /method {{ return 200 "$request_method $server_protocol"; }}
    location /upload {{ proxy_set_header X-Length $request_length; proxy_pass http://unix:{folder}/web.sock:/sink; }}
    location /sink {{ client_body_in_single_buffer off; return 200 "$http_x_length"; }}
    location /chunked {{ proxy_pass http://unix:{folder}/web.sock:/files/lines.txt; proxy_http_version 1.1; gzip on;
                         gzip_types text/plain; gzip_min_length 1; }}
    location /empty {{ return 204; }}
    location /redirect {{ return 302 /method; }}
  }}
  server {{ listen 127.0.0.1:{h2c} http2; location / {{ return 200 "hello\\n"; }}
    location /files/ {{ alias {folder}/files/; }} location /method {{ return 200 "$request_method $server_protocol"; }}
    location /upload {{ proxy_set_header X-Length $request_length; proxy_pass http://unix:{folder}/web.sock:/sink; }} }}
}}
"""


class Web:
    """Where it listens."""

    def __init__(self, folder, certificate, ports):
        self.folder = folder
        self.certificate = certificate
        self.plain, self.secure, self.h2c = (f"127.0.0.1:{port}" for port in ports)
        self.socket = f"{folder}/web.sock"


@contextmanager
def web_server(folder, certificate):
    """A running nginx."""
    nginx = executable("nginx")
    folder.chmod(0o755)  # its workers are another user
    files = folder / "files"
    files.mkdir()
    (files / "large.bin").write_bytes(bytes(range(256)) * 40_000)
    (files / "lines.txt").write_text("".join(f"line {number}\n" for number in range(2000)))
    ports = free_ports(3)
    cert, key = certificate
    text = CONFIGURATION.format(
        folder=folder, plain=ports[0], secure=ports[1], h2c=ports[2], cert=cert, key=key, h2tls="http2"
    )
    (folder / "nginx.conf").write_text(text)
    command = [nginx, "-p", f"{folder}/", "-c", "nginx.conf", "-e", "error.log"]
    with running(command, folder, ports[0]):
        yield Web(folder, cert, ports)
