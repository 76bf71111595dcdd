import { DisconnectedError, RpcError } from "./errors.js";
import { RequestType, ResponseType, encodeRequest } from "./frames.js";
import { Window } from "./window.js";
/** One request: `send` items, `receive` answers or `for await` over them. */
export class RpcRequest {
    /** @internal */
    constructor(rpc, args, options) {
        this.rpc = rpc;
        this.args = args;
        this.options = options;
        /** @internal */ this.seq = 0;
        this.link = null;
        this.received = [];
        this.waiters = [];
        this.unsent = [];
        this.over = false;
        this.items = false;
        this.failure = null;
        this.window = null;
        this.abort = () => {
            this.fail(reasonOf(this.options.signal));
            this.tell();
        };
        if (options.timeout !== undefined) {
            if (!(options.timeout > 0))
                throw new RangeError("timeout is a number of milliseconds above 0");
            this.deadline = Date.now() + options.timeout;
            this.timer = setTimeout(() => {
                this.fail(new RpcError(504, "the deadline has passed", undefined, rpc));
                this.tell();
            }, options.timeout);
        }
        if (options.signal?.aborted)
            this.fail(reasonOf(options.signal));
        else
            options.signal?.addEventListener("abort", this.abort, { once: true });
    }
    /** @internal The connection is there: send the opening frame, and what has been said meanwhile. */
    begin(link) {
        if (this.over)
            return;
        this.link = link;
        this.seq = link.add(this);
        let metadata = this.options.metadata;
        if (this.deadline !== undefined) {
            metadata = { ...metadata, "swill.timeout": Math.max(1, this.deadline - Date.now()) };
        }
        if (this.options.window !== undefined && link.features?.has("credit")) {
            this.window = new Window(this.options.window);
            metadata = { ...metadata, "swill.window": this.options.window };
        }
        if (this.options.sendMetadataFirst && this.args === undefined) {
            link.send(encodeRequest(this.seq, undefined, this.rpc, RequestType.METADATA, metadata ?? {}));
        }
        else {
            this.window?.spend();
            link.send(encodeRequest(this.seq, this.args, this.rpc, RequestType.MESSAGE, metadata));
        }
        this.flush();
    }
    /** Send an item; resolves when it is on its way, which waits for credit where the server gives it. */
    send(message) {
        if (this.items || this.failure instanceof DisconnectedError)
            throw new Error("Request has already ended");
        if (this.over)
            return Promise.resolve(); // answered already: the rest is not wanted
        return new Promise((sent) => {
            this.unsent.push({ frame: () => encodeRequest(this.seq, message, this.rpc), item: true, sent });
            this.flush();
        });
    }
    /** No more items. */
    endStream() {
        if (this.items || this.over)
            return;
        this.items = true;
        const frame = () => encodeRequest(this.seq, null, this.rpc, RequestType.END_OF_STREAM);
        this.unsent.push({ frame, item: false, sent: () => { } });
        this.flush();
    }
    /** The next frame of the answer: a message, metadata or an error; `null` at the end. */
    receive() {
        const next = this.received.shift();
        if (next !== undefined) {
            this.taken(next);
            return Promise.resolve(next);
        }
        if (this.failure !== null)
            return Promise.reject(this.failure);
        if (this.over)
            return Promise.resolve(null);
        return new Promise((resolve, reject) => this.waiters.push({ resolve, reject }));
    }
    /** Done with it: a call that is not over is cancelled, and what still comes is dropped. */
    close() {
        this.cancel();
        this.received = [];
    }
    /** Tell the server that no answer is wanted; whoever waits in `receive` gets `null`. */
    cancel() {
        if (this.over)
            return;
        this.tell();
        this.finish();
    }
    /** Whether `receive` has something at once. */
    get hasData() {
        return this.received.length > 0;
    }
    /** Whether the answer is complete, or nobody wants it any more. */
    get ended() {
        return this.over;
    }
    get leadingMetadata() {
        return this.leading;
    }
    get trailingMetadata() {
        return this.trailing;
    }
    /** The items of the answer; leaving the loop cancels the request. Throws `RpcError` and `DisconnectedError`. */
    async *[Symbol.asyncIterator]() {
        try {
            for (;;) {
                const next = await this.receive();
                if (next === null)
                    return;
                if (next.type === ResponseType.ERROR)
                    throw toError(next.data, this.rpc);
                if (next.type === ResponseType.MESSAGE)
                    yield next.data;
            }
        }
        finally {
            this.cancel();
        }
    }
    /** The one item of a single answer, past any metadata. */
    async result() {
        for (;;) {
            const next = await this.receive();
            if (next === null)
                throw new RpcError(500, "the answer was an empty stream", undefined, this.rpc);
            if (next.type === ResponseType.ERROR)
                throw toError(next.data, this.rpc);
            if (next.type === ResponseType.MESSAGE) {
                this.finish();
                return next.data;
            }
        }
    }
    /** @internal A frame of the server. */
    heard(answer) {
        if (this.over)
            return;
        if (answer.leading)
            this.leading = answer.leading;
        if (answer.trailing)
            this.trailing = answer.trailing;
        const metadata = { leadingMetadata: this.leading, trailingMetadata: this.trailing };
        if (answer.type === ResponseType.CREDIT) {
            this.window?.granted(answer.data);
            this.flush();
        }
        else if (answer.type === ResponseType.MESSAGE) {
            this.push({ type: ResponseType.MESSAGE, data: answer.data, ...metadata });
        }
        else if (answer.type === ResponseType.METADATA) {
            this.push({ type: ResponseType.METADATA, ...metadata });
        }
        else if (answer.type === ResponseType.ERROR) {
            this.push({ type: ResponseType.ERROR, data: answer.data, ...metadata });
            this.finish();
        }
        else if (answer.type === ResponseType.END_OF_STREAM) {
            this.finish();
        }
    }
    /** @internal It cannot be answered any more. */
    fail(error) {
        if (this.over)
            return;
        this.failure = error;
        this.finish();
    }
    push(response) {
        const waiter = this.waiters.shift();
        if (waiter === undefined) {
            this.received.push(response);
        }
        else {
            this.taken(response);
            waiter.resolve(response);
        }
    }
    taken(response) {
        if (this.window === null || response.type !== ResponseType.MESSAGE || this.over)
            return;
        const credit = this.window.itemTaken();
        if (credit > 0)
            this.link?.send(encodeRequest(this.seq, credit, this.rpc, RequestType.CREDIT));
    }
    flush() {
        while (this.link !== null && this.unsent.length > 0) {
            const next = this.unsent[0];
            if (!this.over && next.item && this.window !== null && !this.window.spend())
                return;
            this.unsent.shift();
            if (!this.over)
                this.link.send(next.frame());
            this.link.whenWritable(next.sent);
        }
    }
    tell() {
        if (this.link !== null && !this.link.lost) {
            this.link.send(encodeRequest(this.seq, null, this.rpc, RequestType.CANCEL));
        }
    }
    finish() {
        if (this.over)
            return;
        this.over = true;
        if (this.timer !== undefined)
            clearTimeout(this.timer);
        this.options.signal?.removeEventListener("abort", this.abort);
        this.link?.remove(this);
        for (const { sent } of this.unsent.splice(0))
            sent();
        for (const waiter of this.waiters.splice(0)) {
            if (this.failure !== null)
                waiter.reject(this.failure);
            else
                waiter.resolve(null);
        }
    }
}
export function toError(message, rpc) {
    return new RpcError(message.code, message.message, message.data, rpc);
}
function reasonOf(signal) {
    const reason = signal?.reason;
    return reason instanceof Error ? reason : new Error("the call was aborted");
}
