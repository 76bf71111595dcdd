/** A WebSocket, by whatever the platform has: the browser's own, or `node.ts` in Node. */
export const inNode = typeof globalThis.process?.versions?.node === "string" && typeof globalThis.window === "undefined";
/** The platform's WebSocket. Node's own is passed over: it neither tells a refusal's status nor says `swill/1`. */
export async function platformSocket() {
    if (inNode) {
        const { NodeSocket } = await import("./node.js");
        return NodeSocket;
    }
    const found = globalThis.WebSocket;
    if (found === undefined)
        throw new Error("there is no WebSocket here; give one: new Client({ WebSocket })");
    return found;
}
/**
 * `"localhost"` is `ws://localhost/ws`, `"host:port/path"` what it says, `"/ws"` the page's own host; `wss:` on https pages.
 */
export function toUrl(text) {
    if (/^wss?:\/\//i.test(text))
        return text;
    if (/^https?:\/\//i.test(text))
        return text.replace(/^http/i, "ws");
    const page = globalThis.location;
    const scheme = page?.protocol === "https:" ? "wss:" : "ws:";
    const place = text.startsWith("/") ? (page?.host ?? "localhost") + text : text;
    return `${scheme}//${place}${place.includes("/") ? "" : "/ws"}`;
}
