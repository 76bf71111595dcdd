/**
 * Frames: one msgpack array in one binary message. A client sends `[seq, data, rpc, type = 0, metadata = nil]`, with as few
 * items as say all; a server always five, `[seq, data, type, leading, trailing]`.
 */
import { decode, encode } from "@msgpack/msgpack";
export var RequestType;
(function (RequestType) {
    RequestType[RequestType["MESSAGE"] = 0] = "MESSAGE";
    RequestType[RequestType["END_OF_STREAM"] = 1] = "END_OF_STREAM";
    RequestType[RequestType["METADATA"] = 2] = "METADATA";
    RequestType[RequestType["CANCEL"] = 3] = "CANCEL";
    /** An extension: only with a server that offers `credit`. */
    RequestType[RequestType["CREDIT"] = 4] = "CREDIT";
})(RequestType || (RequestType = {}));
export var ResponseType;
(function (ResponseType) {
    ResponseType[ResponseType["MESSAGE"] = 0] = "MESSAGE";
    ResponseType[ResponseType["END_OF_STREAM"] = 1] = "END_OF_STREAM";
    ResponseType[ResponseType["METADATA"] = 2] = "METADATA";
    ResponseType[ResponseType["ERROR"] = 3] = "ERROR";
    ResponseType[ResponseType["CREDIT"] = 4] = "CREDIT";
})(ResponseType || (ResponseType = {}));
/** A frame of the client; `undefined` is sent as nil, a bigint as an integer of 64 bits. */
export function encodeRequest(seq, data, rpc, type = RequestType.MESSAGE, metadata) {
    const items = [seq, data, rpc];
    if (type !== RequestType.MESSAGE || metadata !== undefined)
        items.push(type);
    if (metadata !== undefined)
        items.push(metadata);
    return encode(items, hasBigInt(data) ? { useBigInt64: true } : undefined);
}
/** A frame of the server; throws what is none. */
export function decodeAnswer(message) {
    // Not a Buffer of Node's, whose parts are Buffers again.
    const bytes = ArrayBuffer.isView(message)
        ? new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
        : message;
    const items = decode(bytes);
    if (!Array.isArray(items) || typeof items[0] !== "number")
        throw new TypeError("not a frame of Swill");
    return {
        seq: items[0],
        data: items[1],
        type: items[2] ?? ResponseType.MESSAGE,
        leading: items[3] ?? null,
        trailing: items[4] ?? null,
    };
}
function hasBigInt(value, depth = 0) {
    if (typeof value === "bigint")
        return true;
    if (typeof value !== "object" || value === null || depth > 32 || ArrayBuffer.isView(value))
        return false;
    return Object.values(value).some((item) => hasBigInt(item, depth + 1));
}
