import { DisconnectedError, RpcError } from "./errors.js";
import { ResponseType } from "./frames.js";
import { toError } from "./request.js";
/** The messages of a topic, or the items of a tracked stream, over all reconnections: `for await (const item of ...)`. */
export class Subscription {
    /** @internal */
    constructor(client, rpc, args, options) {
        this.client = client;
        this.rpc = rpc;
        this.args = args;
        this.options = options;
        this.request = null;
        this.closed = false;
        this.position = options.since;
        this.resuming = options.since !== undefined;
    }
    /** End it; a loop over it ends as well. */
    close() {
        this.closed = true;
        this.request?.cancel();
    }
    async *[Symbol.asyncIterator]() {
        let attempt = 0;
        try {
            while (!this.closed) {
                try {
                    this.open();
                    for (;;) {
                        const next = await this.request.receive();
                        if (next === null)
                            return;
                        if (next.type === ResponseType.ERROR)
                            throw toError(next.data, this.rpc);
                        attempt = 0;
                        if (next.type === ResponseType.METADATA)
                            this.began(next.leadingMetadata ?? {});
                        else if (next.data.id !== this.position) {
                            this.position = next.data.id; // at least once: one that is known was passed over
                            yield next.data;
                        }
                    }
                }
                catch (error) {
                    if (!this.mayResume(error))
                        throw error;
                    this.resuming = true;
                    if (error instanceof RpcError)
                        await this.client.pause(attempt++);
                }
            }
        }
        finally {
            this.close();
        }
    }
    mayResume(error) {
        if (this.closed)
            return false;
        if (error instanceof DisconnectedError)
            return this.client.state !== "closed";
        // Too slow, or the server restarts: what came since the position is still there.
        return error instanceof RpcError && (error.code === 429 || error.code === 503) && this.recovered !== undefined;
    }
    open() {
        const since = this.position;
        const isTopic = this.rpc === "swill.subscribe";
        const args = isTopic && since !== undefined ? { ...this.args, since } : this.args;
        const metadata = !isTopic && since !== undefined ? { ...this.options.metadata, "swill.since": since } : this.options.metadata;
        this.request = this.client.rpc(this.rpc, args, { metadata, window: 0 });
        if (!isTopic)
            this.recovered ?? (this.recovered = true);
    }
    began(leading) {
        if (this.rpc !== "swill.subscribe")
            return;
        this.recovered = leading["recovered"] === true;
        if (this.resuming && !this.recovered)
            this.options.onGap?.();
        if (typeof leading["position"] === "string")
            this.position = leading["position"];
    }
}
