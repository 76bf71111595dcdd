"""What options of gunicorn, uvicorn, hypercorn, granian and daphne are here, by their names.

``tests/unit/tools/importers/`` has the options that gunicorn, uvicorn and granian have, of which none is missing here.
"""

from __future__ import annotations

import re
from typing import Final

from .rules import PROXY, Rules, addresses, ignored, listed, number, replaced, seconds, taken

__all__ = ["GUNICORN", "PREFIXES", "RULES", "SERVERS", "SHORT", "SWITCHES"]

HOOKS: Final = ignored("hooks of the server: an application's own start and end (lifespan, startup) take their place")
TLS: Final = replaced("the web server does TLS: ssgi-gateway config nginx --tls CERT,KEY")
LOGS: Final = replaced("the server's own lines go to standard error; log-level and log-format are settings")
FORMAT: Final = replaced("access-log is in the combined format, or JSON; access-log-fields chooses what it holds")
DEVELOPMENT: Final = replaced("ssgi-gateway dev")
METRICS: Final = replaced("status = ADDR: metrics for Prometheus")
FILES: Final = replaced("the web server serves files: ssgi-gateway config nginx --static /URL=DIR")
JITTER: Final = replaced("max-requests has a jitter of its own, so that no two workers go at once")
TASKS: Final = ignored("a queue of tasks of its own: Celery, RQ, Dramatiq")
HTTP2: Final = ignored("HTTP/2 is the web server's")
CODEC: Final = ignored("the codec is chosen by what is installed")
LOOP: Final = ignored("uvloop where it is installed, asyncio otherwise")
LIFESPAN: Final = ignored("lifespan is always offered")
HEADS: Final = ignored("the web server reads HTTP; the http listener takes what RFC 9112 allows and no more")
NAMES: Final = ignored("workers have titles of their own")
CONTROL: Final = ignored("there is none; signals and ssgi-gateway reload control the server")
RESPAWN: Final = replaced("a worker that ends has a successor at once, one that ends young after 0.1 to 30 seconds")
ONE_LOOP: Final = ignored("each worker has one event loop, on one thread")
PASTE: Final = ignored("a factory of your own loads it: module:factory()")
CHECK: Final = replaced("ssgi-gateway check")
MEMORY: Final = replaced("worker.max-memory is looked at every two seconds")
LIMIT: Final = ignored("the web server's limit: large_client_header_buffers of nginx")

SERVER_HOOKS: Final = (
    "on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init", "worker_int", "worker_abort",
    "pre_exec", "pre_request", "post_request", "child_exit", "worker_exit", "nworkers_changed", "on_exit",
    "ssl_context",
)  # fmt: skip

GUNICORN: Final[Rules] = {
    "bind": taken("http", addresses),
    "listen": taken("http", addresses),
    "workers": taken("workers", number),
    "threads": taken("threads", number),
    "worker_class": replaced("the application's interface is recognised by its shape; WSGI runs in threads"),
    "worker_connections": taken("max-connections", number),
    "max_requests": taken("worker.max-requests", number),
    "max_requests_jitter": JITTER,
    "timeout": replaced("request-timeout: cancels or interrupts the one request, and the others go on"),
    "graceful_timeout": taken("deadlines.drain", seconds),
    "keepalive": taken("deadlines.keep-alive", seconds),
    "keep_alive": taken("deadlines.keep-alive", seconds),
    "backlog": taken("backlog", number),
    "chdir": taken("chdir"),
    "pythonpath": taken("pythonpath", listed),
    "user": taken("user"),
    "group": taken("group"),
    "umask": taken("umask"),
    "initgroups": replaced("supplementary groups are always those of the user"),
    "pidfile": taken("pid-file"),
    "pid": taken("pid-file"),
    "accesslog": taken("access-log"),
    "access_logfile": taken("access-log"),
    "access_log_format": FORMAT,
    "access_logformat": FORMAT,
    "preload_app": taken("preload", lambda text: text.lower() not in ("false", "0", "none")),
    "preload": taken("preload", lambda text: True),
    "root_path": taken("root-path"),
    "wsgi_app": taken("app"),
    "loglevel": taken("log-level", str.lower),
    "log_level": taken("log-level", str.lower),
    "reload": DEVELOPMENT,
    "reload_engine": DEVELOPMENT,
    "reload_extra_files": DEVELOPMENT,
    "reload_extra_file": DEVELOPMENT,
    "spew": replaced("ssgi-gateway stacks shows what threads and tasks are doing"),
    "check_config": CHECK,
    "print_config": CHECK,
    "daemon": replaced("systemd: deploy/systemd has a service"),
    **dict.fromkeys(
        ("errorlog", "log_file", "error_logfile", "capture_output", "logconfig", "log_config", "logconfig_dict",
         "logconfig_json", "log_config_json", "logger_class", "syslog", "syslog_addr", "syslog_prefix",
         "syslog_facility", "log_syslog", "log_syslog_to", "log_syslog_prefix", "log_syslog_facility",
         "disable_redirect_access_to_syslog", "enable_stdio_inheritance"),
        LOGS,
    ),
    **dict.fromkeys(
        ("certfile", "keyfile", "ca_certs", "ssl_version", "cert_reqs", "suppress_ragged_eofs",
         "do_handshake_on_connect", "ciphers"),
        TLS,
    ),
    **dict.fromkeys(
        ("forwarded_allow_ips", "secure_scheme_headers", "proxy_protocol", "proxy_allow_ips", "proxy_allow_from"),
        ignored(PROXY),
    ),
    "protocol": replaced("the listener says it: http, uwsgi, scgi, fastcgi"),
    "uwsgi_allow_ips": ignored("who may connect is a matter of socket-mode, or of a firewall"),
    "uwsgi_allow_from": ignored("who may connect is a matter of socket-mode, or of a firewall"),
    "limit_request_line": LIMIT,
    "limit_request_fields": taken("limits.max-variables", number),
    "limit_request_field_size": LIMIT,
    **dict.fromkeys(
        ("permit_obsolete_folding", "strip_header_spaces", "permit_unconventional_http_method",
         "permit_unconventional_http_version", "casefold_http_method", "forwarder_headers", "header_map"),
        HEADS,
    ),
    "worker_tmp_dir": ignored("workers report that they live without files"),
    "tmp_upload_dir": ignored("bodies are not kept in files"),
    "sendfile": ignored("files go by sendfile(2) always, or by the web server: file-header"),
    "no_sendfile": ignored("files go by sendfile(2) always, or by the web server: file-header"),
    "reuse_port": ignored("workers share one listener"),
    "proc_name": NAMES,
    "name": NAMES,
    "default_proc_name": NAMES,
    "statsd_host": METRICS,
    "statsd_prefix": METRICS,
    "dogstatsd_tags": METRICS,
    "enable_backlog_metric": METRICS,
    "no_control_socket": CONTROL,
    "control_socket": CONTROL,
    "control_socket_mode": CONTROL,
    "control_socket_disable": CONTROL,
    "config": ignored("import that file as well"),
    "paste": PASTE,
    "paster": PASTE,
    "paste_global": PASTE,
    "raw_paste_global_conf": PASTE,
    "asgi_loop": LOOP,
    "asgi_lifespan": LIFESPAN,
    "asgi_disconnect_grace_period": taken("deadlines.client-left", seconds),
    "websocket_max_message_size": taken("websockets.max-message-size", number),
    "http_parser": CODEC,
    **dict.fromkeys(SERVER_HOOKS, HOOKS),
    **dict.fromkeys(
        ("dirty_apps", "dirty_app", "dirty_workers", "dirty_timeout", "dirty_threads", "dirty_graceful_timeout",
         "on_dirty_starting", "dirty_post_fork", "dirty_worker_init", "dirty_worker_exit"),
        TASKS,
    ),
    **dict.fromkeys(
        ("http_protocols", "http2_cleartext", "http2_max_concurrent_streams", "http2_initial_window_size",
         "http2_max_frame_size", "http2_max_header_list_size"),
        HTTP2,
    ),
}  # fmt: skip

UVICORN: Final[Rules] = {
    "app_dir": taken("pythonpath", listed),
    "interface": taken("interface", lambda text: {"asginl": "asgi", "asgi2": "asgi", "asgi3": "asgi"}.get(text, text)),
    "limit_max_requests": taken("worker.max-requests", number),
    "limit_max_requests_jitter": JITTER,
    "limit_concurrency": taken("max-connections", number),
    "timeout_graceful_shutdown": taken("deadlines.drain", seconds),
    "timeout_keep_alive": taken("deadlines.keep-alive", seconds),
    "timeout_worker_healthcheck": replaced("a worker that is busy is not taken for dead: request-timeout finds those"),
    "ws_max_size": taken("websockets.max-message-size", number),
    "ws_max_queue": taken("websockets.max-queue", number),
    "ws_ping_interval": taken("websockets.ping-interval", seconds),
    "ws_ping_timeout": taken("websockets.ping-timeout", seconds),
    "ws_per_message_deflate": taken("websockets.deflate", lambda text: text.lower() in ("true", "1", "yes", "on")),
    "h11_max_incomplete_event_size": taken("limits.max-head-size", number),
    "factory": replaced("write the application as module:factory()"),
    **dict.fromkeys(("reload_dir", "reload_include", "reload_exclude", "reload_delay", "debug"), DEVELOPMENT),
    "access_log": replaced("access-log"),
    "no_access_log": ignored("there is none unless access-log is given"),
    **dict.fromkeys(
        ("ssl_certfile", "ssl_keyfile", "ssl_keyfile_password", "ssl_version", "ssl_cert_reqs", "ssl_ca_certs",
         "ssl_ciphers"),
        TLS,
    ),
    "proxy_headers": ignored(PROXY),
    "no_proxy_headers": ignored(PROXY),
    "loop": LOOP,
    "http": CODEC,
    "http2": HTTP2,
    "ws": ignored("WebSockets are always served"),
    "lifespan": LIFESPAN,
    "use_colors": ignored("colours at a terminal"),
    "no_use_colors": ignored("colours at a terminal; NO_COLOR turns them off"),
    "header": ignored("the web server's: add_header of nginx"),
    **dict.fromkeys(
        ("server_header", "no_server_header", "date_header", "no_date_header"), ignored("the web server's")
    ),
    "env_file": replaced("EnvironmentFile= of the systemd service"),
    "reset_contextvars": replaced("each call has a context of its own"),
}  # fmt: skip

UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def duration(text: str) -> float:
    """Seconds, as granian takes them: ``90``, ``1h30m``.

    Raises:
        ValueError: it is something else.
    """
    if re.fullmatch(r"(\d+[dhms])+", text):
        return float(sum(int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)(.)", text)))
    return seconds(text)


GRANIAN: Final[Rules] = {
    "uds_permissions": taken("socket-mode", lambda text: text.removeprefix("0o")),
    "no_ws": ignored("WebSockets are served where the application takes them"),
    "blocking_threads": taken("threads", number),
    "blocking_threads_idle_timeout": ignored("threads stay"),
    **dict.fromkeys(("runtime_threads", "runtime_blocking_threads", "runtime_mode", "task_impl"), ONE_LOOP),
    "backpressure": taken("max-connections", number),
    "http1_buffer_size": taken("limits.max-head-size", number),
    "http1_header_read_timeout": taken("deadlines.head", lambda text: number(text) / 1000),
    "http1_keep_alive": replaced("connections over HTTP are kept: deadlines.keep-alive"),
    "no_http1_keep_alive": replaced("connections over HTTP are kept: deadlines.keep-alive"),
    "http1_pipeline_flush": ignored("one request after the other"),
    "no_http1_pipeline_flush": ignored("one request after the other"),
    **dict.fromkeys(
        ("http2_adaptive_window", "no_http2_adaptive_window", "http2_initial_connection_window_size",
         "http2_initial_stream_window_size", "http2_keep_alive_interval", "http2_keep_alive_timeout",
         "http2_max_headers_size", "http2_max_send_buffer_size"),
        HTTP2,
    ),
    "log": LOGS,
    "no_log": LOGS,
    "access_log_fmt": FORMAT,
    **dict.fromkeys(
        ("ssl_certificate", "ssl_protocol_min", "ssl_ca", "ssl_crl", "ssl_client_verify", "no_ssl_client_verify"), TLS
    ),
    "url_path_prefix": taken("root-path"),
    **dict.fromkeys(("respawn_failed_workers", "no_respawn_failed_workers", "respawn_interval"), RESPAWN),
    "rss_sample_interval": MEMORY,
    "rss_samples": MEMORY,
    "workers_lifetime": taken("worker.max-age", duration),
    "workers_max_rss": taken("worker.max-memory", lambda text: number(text) << 20),
    "workers_kill_timeout": taken("deadlines.drain", duration),
    "working_dir": taken("chdir"),
    "env_files": replaced("EnvironmentFile= of the systemd service"),
    **dict.fromkeys(
        ("static_path_route", "static_path_mount", "static_path_dir_to_file", "static_path_expires"), FILES
    ),
    **dict.fromkeys(
        ("metrics", "no_metrics", "metrics_scrape_interval", "metrics_address", "metrics_port"), METRICS
    ),
    **dict.fromkeys(
        ("no_reload", "reload_paths", "reload_ignore_dirs", "reload_ignore_patterns", "reload_ignore_paths",
         "reload_tick", "reload_ignore_worker_failure", "no_reload_ignore_worker_failure"),
        DEVELOPMENT,
    ),
    "no_factory": ignored("module:attribute is no factory unless () is behind it"),
    "process_name": NAMES,
    "pid_file": taken("pid-file"),
}  # fmt: skip

RULES: Final[Rules] = {**GUNICORN, **UVICORN, **GRANIAN, "verbosity": replaced("log-level")}
"""All of them. Where two servers have an option of the same name, it means the same."""

SHORT: Final = {
    "-b": "bind", "-w": "workers", "-k": "worker_class", "-t": "timeout", "-D": "daemon", "-p": "pidfile", "-u": "user",
    "-g": "group", "-n": "proc_name", "-c": "config", "-e": "env", "-m": "umask", "-R": "enable_stdio_inheritance",
}  # fmt: skip

SWITCHES: Final = frozenset((
    "preload", "reload", "daemon", "factory", "proxy_headers", "use_colors", "capture_output", "sendfile", "reuse_port",
    "debug", "access_log", "date_header", "server_header", "http2", "reset_contextvars", "casefold_http_method",
    "check_config", "print_config", "disable_redirect_access_to_syslog", "do_handshake_on_connect",
    "enable_backlog_metric", "enable_stdio_inheritance", "initgroups", "log_syslog", "permit_obsolete_folding",
    "permit_unconventional_http_method", "permit_unconventional_http_version", "spew", "strip_header_spaces",
    "suppress_ragged_eofs", "http1_keep_alive", "http1_pipeline_flush", "http2_adaptive_window", "log", "metrics",
    "reload_ignore_worker_failure", "respawn_failed_workers", "ssl_client_verify",
))  # fmt: skip
"""Options without a value; so are all that begin with ``no_``, and granian's ``ws``."""

PREFIXES: Final = ("exec", "python", "python3", "-m", "poetry", "run", "uv", "pipenv")
"""Words before the server's name."""

SERVERS: Final = ("gunicorn", "uvicorn", "hypercorn", "granian", "daphne", "waitress-serve")
"""Whose command lines are understood."""
