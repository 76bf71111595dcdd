import { DisconnectedError } from "./errors.js";
import { Link } from "./link.js";
import { RpcRequest } from "./request.js";
import { inNode, platformSocket, toUrl } from "./socket.js";
import { Subscription } from "./subscription.js";
/** Close codes after which a client comes back, and answers to the handshake after which it does not. */
const AGAIN = [1001, 1006, 1011, 1012, 1013];
const FINAL_STATUS = [401, 403, 404, 406];
const MAX_WAITING = 1000;
const VERSION = "ssgi-gateway-typescript/0.1.0";
/** Calls over a connection that comes back. */
export class Client {
    constructor(options = {}) {
        this.link = null;
        this.leaving = new Set();
        this.waiting = new Set();
        this.trying = false;
        this.attempt = 0;
        this.failure = null;
        this.subprotocol = "swill.1";
        this.current = "new";
        this.options = { autoConnect: true, connectTimeout: 30000, window: 64, hello: true, ...options };
        if (this.options.autoConnect && this.options.url)
            this.connect().catch(() => { });
    }
    /** `"new"`, `"connecting"`, `"open"`, `"reconnecting"` or `"closed"`. */
    get state() {
        return this.current;
    }
    get connected() {
        return this.link !== null;
    }
    /** Outside of browsers: the id of the session, for another client. */
    get session() {
        return this.link?.session ?? this.options.session;
    }
    /** Connect; resolves when there is a connection. `"localhost"` is `ws://localhost/ws`. */
    async connect(url) {
        if (url !== undefined)
            this.options.url = url;
        if (!this.options.url)
            throw new Error("Url must be specified");
        if (this.current === "closed") {
            this.failure = null;
            this.attempt = 0;
            this.setState("new");
        }
        await this.ready();
    }
    /** Close; what is open fails. */
    close(code = 1000, reason = "") {
        this.giveUp(new DisconnectedError("the client was closed", code, reason));
        if (this.timer !== undefined)
            clearTimeout(this.timer);
        this.timer = undefined;
        const error = new DisconnectedError("the client was closed", code, reason);
        for (const link of [this.link, ...this.leaving]) {
            link?.close(code, reason);
            link?.end(error);
        }
        this.leaving.clear();
        if (this.link !== null) {
            this.link = null;
            this.options.onDisconnected?.(code, reason);
        }
    }
    /** Call a procedure with one item; resolves to the one it answers. Rejects with `RpcError` or `DisconnectedError`. */
    async call(rpc, args, options = {}) {
        let again = options.idempotent === true;
        for (;;) {
            const request = new RpcRequest(rpc, args, options);
            this.start(request);
            try {
                return await request.result();
            }
            catch (error) {
                if (!(again && error instanceof DisconnectedError && this.failure === null))
                    throw error;
                again = false;
            }
            finally {
                request.close();
            }
        }
    }
    /** Begin a request: `send` items to it, `receive` its answers or `for await` over them. */
    rpc(rpc, args, options = {}) {
        const window = options.window === 0 ? undefined : (options.window ?? this.options.window);
        const request = new RpcRequest(rpc, args, { ...options, window });
        this.start(request);
        return request;
    }
    /** The messages of a topic, over all reconnections. */
    subscribe(topic, options = {}) {
        return new Subscription(this, "swill.subscribe", { topic }, options);
    }
    /** A stream of tracked items of a procedure, which resumes likewise. */
    follow(rpc, args, options = {}) {
        return new Subscription(this, rpc, args, options);
    }
    /** @internal Wait as before another attempt. */
    pause(attempt) {
        return new Promise((resolve) => setTimeout(resolve, this.delay(attempt)));
    }
    start(request) {
        if (this.link !== null) {
            request.begin(this.link);
            return;
        }
        this.ready().then((link) => request.begin(link), (error) => request.fail(error));
    }
    ready() {
        if (this.link !== null)
            return Promise.resolve(this.link);
        if (this.failure !== null)
            return Promise.reject(this.failure);
        if (!this.options.url)
            return Promise.reject(new Error("Url must be specified"));
        if (this.waiting.size >= MAX_WAITING) {
            return Promise.reject(new DisconnectedError(`${MAX_WAITING} calls wait for a connection already`));
        }
        if (this.timer === undefined)
            this.attemptNow("connecting"); // otherwise one is coming
        return new Promise((resolve, reject) => {
            const timeout = this.options.connectTimeout;
            const timer = setTimeout(() => {
                this.waiting.delete(waiting);
                this.options.onTimeout?.();
                reject(new DisconnectedError(`no connection to ${this.options.url} in ${timeout} ms`));
            }, timeout);
            const waiting = {
                resolve: (link) => {
                    clearTimeout(timer);
                    resolve(link);
                },
                reject: (error) => {
                    clearTimeout(timer);
                    reject(error);
                },
            };
            this.waiting.add(waiting);
        });
    }
    attemptNow(state) {
        if (this.trying || this.failure !== null)
            return;
        this.trying = true;
        this.setState(state);
        this.open().catch((error) => this.giveUp(new DisconnectedError(error.message)));
    }
    async open() {
        const Socket = this.options.WebSocket ?? (await platformSocket());
        if (this.failure !== null) {
            this.trying = false;
            return;
        }
        const url = toUrl(this.options.url);
        this.dial(Socket, url, this.subprotocol);
    }
    dial(Socket, url, subprotocol) {
        const socket = new Socket(url, subprotocol);
        socket.binaryType = "arraybuffer";
        const timeout = setTimeout(() => socket.close(), this.options.connectTimeout);
        socket.onerror = () => { };
        socket.onopen = () => {
            clearTimeout(timeout);
            this.subprotocol = subprotocol;
            this.opened(socket);
        };
        socket.onclose = (event) => {
            clearTimeout(timeout);
            // Outside of browsers: an original server says 500 to swill.1, and is asked once more by its own name.
            const other = inNode && subprotocol === "swill.1" && [400, 403, 406, 500].includes(socket.status ?? 0);
            if (other && this.failure === null)
                this.dial(Socket, url, "swill/1");
            else
                this.refused(event, socket.status);
        };
    }
    opened(socket) {
        if (this.failure !== null) {
            socket.close(1000);
            return;
        }
        const session = this.options.session;
        const hello = this.options.hello ? { client: VERSION, ...(session === undefined ? {} : { session }) } : null;
        const link = new Link(socket, hello);
        let over = false;
        socket.onclose = (event) => {
            if (!over)
                this.lost(link, event.code, event.reason);
            over = true;
        };
        link.onGoaway = () => {
            if (this.link !== link)
                return;
            this.leaving.add(link);
            this.link = null;
            this.retry();
        };
        this.link = link;
        this.trying = false;
        this.attempt = 0;
        this.setState("open");
        this.options.onConnected?.();
        for (const waiting of [...this.waiting]) {
            this.waiting.delete(waiting);
            waiting.resolve(link);
        }
    }
    lost(link, code, reason) {
        const words = code === 1006 ? "the connection broke" : `the connection was closed (${code} ${reason})`;
        const error = new DisconnectedError(words, code, reason);
        if (link.session !== undefined)
            this.options.session = link.session;
        const isCurrent = this.link === link;
        if (isCurrent)
            this.link = null;
        this.leaving.delete(link);
        if (isCurrent && !AGAIN.includes(code))
            this.giveUp(error);
        link.end(error);
        if (!isCurrent)
            return;
        this.options.onDisconnected?.(code, reason);
        if (this.failure === null)
            this.retry();
    }
    refused(event, status) {
        this.trying = false;
        if (status !== undefined && FINAL_STATUS.includes(status)) {
            this.giveUp(new DisconnectedError(`the server answered ${status}`, status));
        }
        else {
            this.retry();
        }
    }
    retry() {
        const { reconnect } = this.options;
        if (this.failure !== null)
            return;
        const tooMany = reconnect !== false && reconnect?.retries !== undefined && this.attempt >= reconnect.retries;
        if (reconnect === false || tooMany) {
            this.giveUp(new DisconnectedError("there is no connection"));
            return;
        }
        this.setState("reconnecting");
        this.timer = setTimeout(() => {
            this.timer = undefined;
            this.options.onReconnect?.();
            this.attemptNow("reconnecting");
        }, this.delay(this.attempt++));
    }
    delay(attempt) {
        const { delay = 500, maxDelay = 30000 } = this.options.reconnect || {};
        return Math.min(maxDelay, delay * 2 ** Math.min(attempt, 16)) * (0.5 + Math.random());
    }
    giveUp(error) {
        this.trying = false;
        if (this.failure !== null)
            return;
        this.failure = error;
        this.setState("closed");
        for (const waiting of [...this.waiting]) {
            this.waiting.delete(waiting);
            waiting.reject(error);
        }
    }
    setState(state) {
        if (this.current === state)
            return;
        this.current = state;
        this.options.onState?.(state);
    }
}
