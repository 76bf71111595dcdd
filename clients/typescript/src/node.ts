/**
 * A WebSocket client for Node (RFC 6455), with what its own one lacks: the status of a refusal, and the subprotocol
 * `swill/1`, which is no token. Binary messages, fragments, pings and closes; no extensions.
 */
import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Duplex } from "node:stream";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MAX_MESSAGE = 64 * 1024 * 1024;
const CLOSE_TIMEOUT = 5000;

export class NodeSocket {
  binaryType = "arraybuffer";
  protocol = "";
  status: number | undefined;
  onopen: ((event: any) => void) | null = null;
  onmessage: ((event: any) => void) | null = null;
  onclose: ((event: any) => void) | null = null;
  onerror: ((event: any) => void) | null = null;

  private stream: Duplex | null = null;
  private received: Buffer = Buffer.alloc(0);
  private parts: Buffer[] = [];
  private size = 0;
  private code = 1006;
  private reason = "";
  private closing = false;
  private over = false;

  constructor(url: string, protocols: string | string[]) {
    const offered = ([] as string[]).concat(protocols);
    const target = new URL(url.replace(/^ws/i, "http"));
    const key = randomBytes(16).toString("base64");
    const request = (target.protocol === "https:" ? httpsRequest : httpRequest)(target, {
      headers: {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": offered.join(", "),
      },
    });
    request.on("upgrade", (response, stream, head) => {
      const accept = createHash("sha1").update(key + GUID).digest("base64");
      this.protocol = String(response.headers["sec-websocket-protocol"] ?? "");
      if (response.headers["sec-websocket-accept"] !== accept || !offered.includes(this.protocol)) {
        stream.destroy();
        this.end();
        return;
      }
      this.opened(stream, head);
    });
    request.on("response", (response) => {
      this.status = response.statusCode;
      response.resume();
      request.destroy();
      this.end();
    });
    request.on("error", () => this.end());
    request.end();
    this.abort = () => request.destroy();
  }

  private abort: () => void;

  get bufferedAmount(): number {
    return this.stream?.writableLength ?? 0;
  }

  send(data: Uint8Array): void {
    if (!this.closing) this.write(2, data);
  }

  close(code = 1000, reason = ""): void {
    if (this.closing) return;
    this.closing = true;
    this.code = code;
    this.reason = reason;
    if (this.stream === null) {
      this.abort();
      this.end();
      return;
    }
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.write(8, Buffer.concat([payload, Buffer.from(reason)]));
    setTimeout(() => this.stream?.destroy(), CLOSE_TIMEOUT).unref();
  }

  private opened(stream: Duplex, head: Buffer): void {
    this.stream = stream;
    (stream as any).setNoDelay?.(true);
    stream.on("data", (data: Buffer) => this.take(data));
    stream.on("end", () => stream.end());
    stream.on("error", () => stream.destroy());
    stream.on("close", () => this.end());
    this.onopen?.({});
    if (head.length > 0) this.take(head);
  }

  private end(): void {
    if (this.over) return;
    this.over = this.closing = true;
    // Never before the constructor has returned.
    queueMicrotask(() => this.onclose?.({ code: this.code, reason: this.reason, wasClean: this.code !== 1006 }));
  }

  private write(opcode: number, data: Uint8Array): void {
    const size = data.length;
    const extended = size < 126 ? 0 : size < 65536 ? 2 : 8;
    const frame = Buffer.allocUnsafe(6 + extended + size);
    frame[0] = 0x80 | opcode;
    frame[1] = 0x80 | (extended === 0 ? size : extended === 2 ? 126 : 127);
    if (extended === 2) frame.writeUInt16BE(size, 2);
    if (extended === 8) frame.writeBigUInt64BE(BigInt(size), 2);
    const mask = randomBytes(4);
    mask.copy(frame, 2 + extended);
    for (let i = 0; i < size; i += 1) frame[6 + extended + i] = data[i]! ^ mask[i & 3]!;
    this.stream?.write(frame);
  }

  private take(data: Buffer): void {
    this.received = this.received.length > 0 ? Buffer.concat([this.received, data]) : data;
    while (this.received.length >= 2) {
      let size = this.received[1]! & 127;
      let at = 2;
      if (size === 126) {
        if (this.received.length < 4) return;
        size = this.received.readUInt16BE(2);
        at = 4;
      } else if (size === 127) {
        if (this.received.length < 10) return;
        size = Number(this.received.readBigUInt64BE(2));
        at = 10;
      }
      if (size > MAX_MESSAGE) {
        this.stream?.destroy();
        return;
      }
      if (this.received.length < at + size) return;
      const first = this.received[0]!;
      const payload = this.received.subarray(at, at + size);
      this.received = this.received.subarray(at + size);
      this.frame(first & 15, (first & 0x80) !== 0, payload);
    }
  }

  private frame(opcode: number, final: boolean, payload: Buffer): void {
    if (opcode === 8) {
      if (!this.closing) {
        this.code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
        this.reason = payload.subarray(2).toString();
        this.write(8, payload);
        this.closing = true;
      }
      this.stream?.end();
      return;
    }
    if (opcode === 9) {
      this.write(10, payload);
      return;
    }
    if (opcode === 10) return;
    this.parts.push(payload);
    this.size += payload.length;
    if (this.size > MAX_MESSAGE) {
      this.stream?.destroy();
    } else if (final) {
      const whole = this.parts.length === 1 ? this.parts[0]! : Buffer.concat(this.parts);
      this.parts = [];
      this.size = 0;
      this.onmessage?.({ data: whole });
    }
  }
}
