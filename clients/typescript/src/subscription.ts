import type { Client } from "./client.js";
import { DisconnectedError, RpcError } from "./errors.js";
import { type Metadata, ResponseType } from "./frames.js";
import { type RpcRequest, toError } from "./request.js";

export interface Item<T> {
  id: string;
  data: T;
}

export interface SubscribeOptions {
  /** A position: what came after it comes first. */
  since?: string;
  metadata?: Metadata;
  /** Called when something that was missed cannot be recovered. */
  onGap?: () => void;
}

/** The messages of a topic, or the items of a tracked stream, over all reconnections: `for await (const item of ...)`. */
export class Subscription<T> implements AsyncIterable<Item<T>> {
  /** Of the last item, or where the subscription begins. */
  position: string | undefined;
  /** Whether nothing was missing when it began or went on; `undefined` before that is known. */
  recovered: boolean | undefined;

  private request: RpcRequest<unknown, Item<T>> | null = null;
  private closed = false;
  private resuming: boolean;

  /** @internal */
  constructor(
    private readonly client: Client,
    private readonly rpc: string,
    private readonly args: unknown,
    private readonly options: SubscribeOptions,
  ) {
    this.position = options.since;
    this.resuming = options.since !== undefined;
  }

  /** End it; a loop over it ends as well. */
  close(): void {
    this.closed = true;
    this.request?.cancel();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item<T>, void, void> {
    let attempt = 0;
    try {
      while (!this.closed) {
        try {
          this.open();
          for (;;) {
            const next = await this.request!.receive();
            if (next === null) return;
            if (next.type === ResponseType.ERROR) throw toError(next.data, this.rpc);
            attempt = 0;
            if (next.type === ResponseType.METADATA) this.began(next.leadingMetadata ?? {});
            else if (next.data.id !== this.position) {
              this.position = next.data.id; // at least once: one that is known was passed over
              yield next.data;
            }
          }
        } catch (error) {
          if (!this.mayResume(error)) throw error;
          this.resuming = true;
          if (error instanceof RpcError) await this.client.pause(attempt++);
        }
      }
    } finally {
      this.close();
    }
  }

  private mayResume(error: unknown): boolean {
    if (this.closed) return false;
    if (error instanceof DisconnectedError) return this.client.state !== "closed";
    // Too slow, or the server restarts: what came since the position is still there.
    return error instanceof RpcError && (error.code === 429 || error.code === 503) && this.recovered !== undefined;
  }

  private open(): void {
    const since = this.position;
    const isTopic = this.rpc === "swill.subscribe";
    const args = isTopic && since !== undefined ? { ...(this.args as object), since } : this.args;
    const metadata =
      !isTopic && since !== undefined ? { ...this.options.metadata, "swill.since": since } : this.options.metadata;
    this.request = this.client.rpc<Item<T>, unknown>(this.rpc, args, { metadata, window: 0 });
    if (!isTopic) this.recovered ??= true;
  }

  private began(leading: Metadata): void {
    if (this.rpc !== "swill.subscribe") return;
    this.recovered = leading["recovered"] === true;
    if (this.resuming && !this.recovered) this.options.onGap?.();
    if (typeof leading["position"] === "string") this.position = leading["position"];
  }
}
