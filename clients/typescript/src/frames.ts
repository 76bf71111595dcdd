/**
 * Frames: one msgpack array in one binary message. A client sends `[seq, data, rpc, type = 0, metadata = nil]`, with as few
 * items as say all; a server always five, `[seq, data, type, leading, trailing]`.
 */
import { decode, encode } from "@msgpack/msgpack";

export type Metadata = { [key: string]: unknown };

export enum RequestType {
  MESSAGE = 0,
  END_OF_STREAM = 1,
  METADATA = 2,
  CANCEL = 3,
  /** An extension: only with a server that offers `credit`. */
  CREDIT = 4,
}

export enum ResponseType {
  MESSAGE = 0,
  END_OF_STREAM = 1,
  METADATA = 2,
  ERROR = 3,
  CREDIT = 4,
}

export interface ErrorMessage {
  code: number;
  message: string;
  data?: unknown;
}

export interface Answer {
  seq: number;
  data: unknown;
  type: ResponseType;
  leading: Metadata | null;
  trailing: Metadata | null;
}

/** A frame of the client; `undefined` is sent as nil, a bigint as an integer of 64 bits. */
export function encodeRequest(
  seq: number,
  data: unknown,
  rpc: string,
  type: RequestType = RequestType.MESSAGE,
  metadata?: Metadata,
): Uint8Array {
  const items: unknown[] = [seq, data, rpc];
  if (type !== RequestType.MESSAGE || metadata !== undefined) items.push(type);
  if (metadata !== undefined) items.push(metadata);
  return encode(items, hasBigInt(data) ? { useBigInt64: true } : undefined);
}

/** A frame of the server; throws what is none. */
export function decodeAnswer(message: ArrayBuffer | Uint8Array): Answer {
  // Not a Buffer of Node's, whose parts are Buffers again.
  const bytes = ArrayBuffer.isView(message)
    ? new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
    : message;
  const items = decode(bytes);
  if (!Array.isArray(items) || typeof items[0] !== "number") throw new TypeError("not a frame of Swill");
  return {
    seq: items[0],
    data: items[1],
    type: (items[2] as ResponseType | undefined) ?? ResponseType.MESSAGE,
    leading: (items[3] as Metadata | undefined) ?? null,
    trailing: (items[4] as Metadata | undefined) ?? null,
  };
}

function hasBigInt(value: unknown, depth = 0): boolean {
  if (typeof value === "bigint") return true;
  if (typeof value !== "object" || value === null || depth > 32 || ArrayBuffer.isView(value)) return false;
  return Object.values(value).some((item) => hasBigInt(item, depth + 1));
}
