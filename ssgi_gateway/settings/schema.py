"""Every setting, documented once.

The command line, the environment, the configuration file and the reference page are made from the fields below
(``settings.sources``); nothing else in the project lists settings.

Names follow one rule. A setting is its field's name: ``max_connections`` is ``--max-connections`` on the command
line, ``SSGI_MAX_CONNECTIONS`` in the environment and ``max_connections`` in the file. A setting in a group has the
group's prefix before it, so that it says what it is about: ``websockets.ping_interval`` is
``--websocket-ping-interval``, ``SSGI_WEBSOCKET_PING_INTERVAL`` and, in the file, ``ping_interval`` under
``[websockets]``. ``limits`` has no prefix, because its settings are called ``max_...`` like their kin at the top.
"""

from ssgi_gateway.settings.fields import Group, group, setting

__all__ = ["Deadlines", "FlowControl", "Settings", "WebSocketSettings", "WireLimits", "WorkerSettings"]


class WireLimits(Group):
    """Bounds on what a request head may cost before it was looked at."""

    max_head_size: int = setting(
        131072,
        "Largest block of request variables; a larger one is answered with 431. nginx's own limit on headers is "
        "below this unless large_client_header_buffers was raised.",
        unit="bytes",
        minimum=1024,
    )
    max_variables: int = setting(
        1000, "Most request variables; more are answered with 431.", unit="variables", minimum=20
    )
    max_multiplexed: int = setting(
        100,
        "Most requests in progress on one FastCGI connection, where the web server sends several at once (HAProxy); "
        "more are refused as OVERLOADED.",
        unit="requests",
        minimum=1,
    )


class WebSocketSettings(Group):
    """Bounds and clocks of a WebSocket."""

    max_message_size: int = setting(
        1048576,
        "Largest message, after inflation; a larger one ends the connection with 1009.",
        unit="bytes",
        minimum=1,
    )
    max_frame_size: int = setting(
        0, "Largest frame; 0 means the message limit. A larger one ends the connection with 1009.", unit="bytes"
    )
    max_queue: int = setting(
        32,
        "Messages kept for an application that has not yet taken them; then reading stops.",
        unit="messages",
        minimum=1,
    )
    max_queue_size: int = setting(
        262144,
        "Bytes of memory that these messages may take, after inflation; then reading stops. The message that passes "
        "this bound is kept, so a WebSocket costs at most this and the largest message.",
        unit="bytes",
    )
    ping_interval: float = setting(
        20.0, "A ping is sent after this long without one; 0 for never. nginx closes a silent tunnel after 60.",
        unit="seconds",
    )  # fmt: skip
    ping_timeout: float = setting(
        20.0,
        "A peer that has sent nothing for this long after a ping is lost: 1006 for the application, 1011 for a peer "
        "that is there after all.",
        unit="seconds",
        minimum=0.01,
    )
    close_timeout: float = setting(10.0, "How long our Close frame may stay unanswered.", unit="seconds", minimum=0.01)
    close_spread: float = setting(
        2.0,
        "A worker that retires closes its WebSockets (1012) over so long: clients then do not come back all at once.",
        unit="seconds",
    )
    deflate: bool = setting(True, "Accept permessage-deflate (RFC 7692) when a client offers it.")
    origins: tuple[str, ...] | None = setting(
        None,
        "Origins that may open WebSockets, as https://host[:port]; other Origins get 403. 'same' stands for the "
        "request's own host. Not given: any. Repeatable.",
        metavar="ORIGIN",
    )


class Deadlines(Group):
    """How long each thing may take before the server stops waiting."""

    head: float = setting(
        10.0, "A request's head must be complete this long after its first byte.", unit="seconds", minimum=0.01
    )
    body: float = setting(
        60.0, "Longest silence while the application waits for the body.", unit="seconds", minimum=0.01
    )
    unread_body: float = setting(
        2.0,
        "How long the end of an answer waits for what is left of a short request body that the application did not "
        "read (--max-unread-body).",
        unit="seconds",
        minimum=0.01,
    )
    idle: float = setting(
        120.0, "A kept FastCGI connection without a request is closed after this.", unit="seconds", minimum=0.01
    )
    keep_alive: float = setting(
        75.0,
        "An HTTP/1.1 connection (--http) without a request is closed after this. More than the idle time of the "
        "balancer in front, or it meets closed connections.",
        unit="seconds",
        minimum=0.01,
    )
    write: float = setting(
        60.0, "Longest time in which the peer takes nothing of an answer.", unit="seconds", minimum=0.01
    )
    client_left: float = setting(
        10.0,
        "ASGI, RSGI: after its client has disconnected, an application in the middle of its answer, or a WebSocket's, "
        "has this long to notice; then it is cancelled. 0 for never.",
        unit="seconds",
    )
    drain: float = setting(
        30.0,
        "After SIGTERM everything has this long, shutdown hooks and threads included: then the process ends. Requests "
        "in progress are cut off a little earlier, so that there is time for what follows them.",
        unit="seconds",
    )
    poll: float = setting(
        10.0,
        "When the server stops: requests of which nothing has been answered by then (long polls) get 503 with "
        "Retry-After. In a reload they may take as long as the drain.",
        unit="seconds",
    )
    stream: float = setting(
        2.0,
        "When the server stops or a worker is replaced: event streams (text/event-stream, asked for with GET) have "
        "this long to end by themselves; browsers connect again.",
        unit="seconds",
    )
    start: float = setting(
        60.0, "The application must have started after this; a worker that has not is killed.", unit="seconds",
        minimum=0.1,
    )  # fmt: skip


class WorkerSettings(Group):
    """When a worker has served enough. Its successor serves before it goes; no two go at once."""

    max_requests: int = setting(
        0,
        "Replace a worker after about so many requests; 0 for never. Each has a little more or less than the others.",
        unit="requests",
    )
    max_memory: int = setting(0, "Replace a worker that has more resident memory; 0 for never.", unit="bytes")
    max_age: float = setting(0.0, "Replace a worker after about so long; 0 for never.", unit="seconds")


class FlowControl(Group):
    """Water marks: above high a side has to wait, below low it goes on. Used in both directions."""

    high_water: int = setting(
        262144, "Bytes waiting above which a writer, or the peer, must wait.", unit="bytes", minimum=1
    )
    low_water: int = setting(65536, "Bytes waiting below which it goes on.", unit="bytes")


APPLICATION = "application"
PROCESSES = "processes"
LISTENERS = "where to listen"
LOGS = "logs and metrics"


class Settings(Group):
    """Every setting of ``ssgi-gateway serve``."""

    app: str = setting(
        "",
        "The application: module:attribute, or module:factory() to call a factory.",
        metavar="APP",
        section=APPLICATION,
    )
    scgi: tuple[str, ...] = setting((), "Listen for SCGI. Repeatable.", metavar="ADDR", section=LISTENERS)
    fastcgi: tuple[str, ...] = setting((), "Listen for FastCGI. Repeatable.", metavar="ADDR", section=LISTENERS)
    uwsgi: tuple[str, ...] = setting(
        (), "Listen for the uwsgi protocol (uwsgi_pass). Repeatable.", metavar="ADDR", section=LISTENERS
    )
    websocket: tuple[str, ...] = setting(
        (), "Listen for WebSockets (HTTP/1.1 Upgrade). Repeatable.", metavar="ADDR", section=LISTENERS
    )
    http: tuple[str, ...] = setting(
        (),
        "Listen for HTTP/1.1, without a web server in front: for development, and for balancers that speak nothing "
        "else. Repeatable.",
        metavar="ADDR",
        section=LISTENERS,
    )
    workers: int = setting(
        1,
        "Processes that serve: a number, or auto for as many as this process may use CPUs (affinity, cgroup). 0 serves "
        "in the process itself: nothing is supervised, nothing can be reloaded.",
        unit="workers",
        section=PROCESSES,
    )
    preload: bool = setting(
        False,
        "Import the application once for each generation and fork it: workers share its memory. It must not start "
        "threads, or open connections, while it is imported.",
        section=PROCESSES,
    )
    merge_memory: bool = setting(
        False,
        "Let the kernel keep pages once that are equal in several workers (KSM, Linux 6.4), where "
        "/sys/kernel/mm/ksm/run is 1. Not where untrusted programs run on the same machine: they could find out what "
        "is in a page.",
        section=PROCESSES,
    )
    user: str = setting(
        "",
        "Workers run as this user, a name or a number; listeners and logs are opened before, by who started it.",
        metavar="USER",
        section=PROCESSES,
    )
    umask: int = setting(
        -1,
        "What new files of the application are not allowed, octal.",
        unit="umask",
        metavar="MASK",
        minimum=-1,
        section=PROCESSES,
    )
    pid_file: str = setting("", "A file for the process id that signals go to.", metavar="FILE", section=PROCESSES)
    stop_delay: float = setting(
        0.0,
        "After SIGTERM: go on for so long before the drain begins, while load balancers find out.",
        unit="seconds",
        section=PROCESSES,
    )
    interface: str = setting(
        "auto",
        "The application's interface; auto uses its get_supported or recognises it by its shape.",
        choices=("auto", "ssgi", "asgi", "rsgi", "wsgi"),
        section=APPLICATION,
    )
    codec: str = setting(
        "auto",
        "Which build of the codecs: compiled where it is installed (auto), or one of them.",
        choices=("auto", "portable", "compiled"),
    )
    root_path: str | None = setting(
        None,
        "Where the application is mounted; overrides what the web server sends. May be empty.",
        metavar="PATH",
        section=APPLICATION,
    )
    chdir: str = setting(
        "",
        "Change to this directory first: the application is looked for there, and relative paths begin there.",
        metavar="DIR",
        section=APPLICATION,
    )
    pythonpath: tuple[str, ...] = setting(
        (),
        "A directory in which Python looks for modules before all others. Repeatable.",
        metavar="DIR",
        section=APPLICATION,
    )
    half_close: bool = setting(
        False,
        "Take a half-closed request connection for a client that still reads (lighttpd may half-close). "
        "Off, it means that the client has disconnected.",
    )
    access_log: str = setting(
        "",
        "File for an access log in the combined format, or - for standard output; after a rotation a new one is "
        "begun. Off unless given: the web server has one.",
        metavar="FILE",
        section=LOGS,
    )
    access_log_format: str = setting(
        "combined", "How its lines are written.", choices=("combined", "json"), section=LOGS
    )
    access_log_fields: tuple[str, ...] = setting(
        (),
        "What they hold: the members of the JSON, or what stands behind the combined format: ts, id, remote, method, "
        "path, query, proto, status, bytes_in, bytes, seconds, protocol, worker, referer, agent, aborted. Repeatable.",
        metavar="FIELD",
        section=LOGS,
    )
    request_id_header: str = setting(
        "",
        "The header in which answers carry the request's id, X-Request-ID for one. Not given: none does.",
        metavar="NAME",
        section=LOGS,
    )
    hooks: str = setting(
        "",
        "An object whose callables are called for requests and WebSockets, as module:attribute. For OpenTelemetry: "
        "ssgi_gateway.observe.otel:OpenTelemetry.",
        metavar="HOOKS",
        section=LOGS,
    )
    metrics: bool = setting(
        True,
        "Count what is served, in memory that ssgi-gateway top, status and --status read. It costs next to nothing, "
        "and workers see by it who has less to do: without it kept connections are not evened out.",
        section=LOGS,
    )
    prometheus_multiproc: bool = setting(
        False,
        "For applications that use prometheus_client: a directory of the server's for its multiprocess mode "
        "(PROMETHEUS_MULTIPROC_DIR), with files for as many workers as there are.",
        section=LOGS,
    )
    status: str = setting(
        "",
        "Serve /live, /ready, /metrics and a status page at this address, by a process of its own. Not for the public.",
        metavar="ADDR",
        section=LOGS,
    )
    log_format: str = setting(
        "auto",
        "How the server's own lines are written to standard error: text at a terminal, JSON otherwise (auto); or one.",
        choices=("auto", "text", "json"),
        section=LOGS,
    )
    log_level: str = setting(
        "info", "The least of the server's own lines that is written.", choices=("debug", "info", "warning", "error"),
        section=LOGS,
    )  # fmt: skip
    development: bool = setting(False, "Show tracebacks on error pages. Never on a public server.", section=APPLICATION)
    strict: bool = setting(
        False,
        "Raise where an application relies on more than SSGI promises: headers read after its call returned.",
        section=APPLICATION,
    )
    threads: int = setting(
        8,
        "WSGI: threads that run the application. 0 runs it on the event loop's thread, one request at a time: the "
        "fastest, for applications that never wait.",
        unit="threads",
        section=APPLICATION,
    )
    wsgi_queue: int = setting(
        1024,
        "WSGI: requests that may wait for a thread; further ones get 503 with Retry-After.",
        unit="requests",
        minimum=1,
        section=APPLICATION,
    )
    wsgi_websockets: int = setting(
        100,
        "WSGI: WebSockets at once, a thread each, for libraries that want environ['werkzeug.socket'] (Flask-Sock, "
        "Flask-SocketIO); further ones get 503. 0 serves requests to upgrade as any others.",
        unit="threads",
        section=APPLICATION,
    )
    asgi_pathsend: bool = setting(
        False,
        "ASGI: offer http.response.pathsend and http.response.zerocopysend, by which files are sent without the "
        "application. Middlewares that do not know them lose the file. Implied by file_header.",
        section=APPLICATION,
    )
    file_header: str = setting(
        "",
        "The header that makes the web server send files: X-Accel-Redirect for nginx, X-Sendfile for Apache and "
        "lighttpd. Not given: the gateway sends them itself.",
        choices=("", "X-Accel-Redirect", "X-Sendfile"),
        section=APPLICATION,
    )
    file_root: tuple[str, ...] = setting(
        (),
        "A folder whose files the web server may send, as FOLDER=LOCATION with its internal location for "
        "X-Accel-Redirect, as FOLDER for X-Sendfile. Repeatable.",
        metavar="ROOT",
        section=APPLICATION,
    )
    front_files: bool = setting(
        True,
        "Let X-Accel-Redirect and X-Sendfile from the application through to the web server. Turn it off when users "
        "of the application can choose header names.",
        section=APPLICATION,
    )
    trust_remote_user: bool = setting(
        False,
        "Show REMOTE_USER and AUTH_TYPE to the application. Only where the web server checks every user: HAProxy, and "
        "nginx with its stock fastcgi_params, pass on the name that any client claims.",
        section=APPLICATION,
    )
    max_connections: int = setting(10000, "Connections at once; further ones get 503.", unit="connections", minimum=1)
    backlog: int = setting(
        2048,
        "Connections the kernel keeps for us; see net.core.somaxconn.",
        unit="connections",
        minimum=1,
        section=LISTENERS,
    )
    request_timeout: float = setting(
        0.0,
        "A request that has not begun to be answered after this is ended: its task is cancelled, its thread or the "
        "event loop interrupted, and if nothing helps the worker is replaced; 0 for never.",
        unit="seconds",
    )
    slow_request: float = setting(
        0.0,
        "A request that has not begun to be answered after this is logged, with where all threads and tasks are; 0 for "
        "never.",
        unit="seconds",
    )
    max_body_size: int = setting(
        0,
        "Largest request body; a larger one is answered with 413. 0 leaves it to the web server.",
        unit="bytes",
    )
    max_unread_body: int = setting(
        65536,
        "When an application answers without reading the body of its request, and no more than this is left of it, the "
        "rest is read and dropped before the answer ends, so that the client's connection can be kept. 0 for never.",
        unit="bytes",
    )
    socket_mode: int = setting(
        0o660, "Permissions of unix sockets, octal.", unit="octal", metavar="MODE", section=LISTENERS
    )
    socket_owner: str = setting(
        "", "Owner of unix sockets, as USER, USER:GROUP or :GROUP.", metavar="OWNER", section=LISTENERS
    )
    trusted_peers: tuple[str, ...] = setting(
        ("127.0.0.1", "::1", "unix"),
        "Whose X-Forwarded-* and Forwarded are believed on the direct port: addresses, networks, 'unix'. Repeatable.",
        metavar="PEER",
    )
    worker: WorkerSettings = group(WorkerSettings, PROCESSES, prefix="worker")
    limits: WireLimits = group(WireLimits, "request heads")
    websockets: WebSocketSettings = group(WebSocketSettings, "WebSockets", prefix="websocket")
    deadlines: Deadlines = group(Deadlines, "deadlines", prefix="deadline")
    flow: FlowControl = group(FlowControl, "flow control", prefix="flow")
    # The last one, because it has the name of the function above.
    group: str = setting(
        "", "Workers run as this group; without it the user's own.", metavar="GROUP", section=PROCESSES
    )
