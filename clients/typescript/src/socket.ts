/** A WebSocket, by whatever the platform has: the browser's own, or `node.ts` in Node. */

export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly protocol: string;
  /** In Node: the HTTP status of a refused handshake. */
  readonly status?: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
}

export type SocketConstructor = new (url: string, protocols: string | string[]) => Socket;

export const inNode: boolean =
  typeof (globalThis as any).process?.versions?.node === "string" && typeof (globalThis as any).window === "undefined";

/** The platform's WebSocket. Node's own is passed over: it neither tells a refusal's status nor says `swill/1`. */
export async function platformSocket(): Promise<SocketConstructor> {
  if (inNode) {
    const { NodeSocket } = await import("./node.js");
    return NodeSocket;
  }
  const found = (globalThis as any).WebSocket as SocketConstructor | undefined;
  if (found === undefined) throw new Error("there is no WebSocket here; give one: new Client({ WebSocket })");
  return found;
}

/**
 * `"localhost"` is `ws://localhost/ws`, `"host:port/path"` what it says, `"/ws"` the page's own host; `wss:` on https pages.
 */
export function toUrl(text: string): string {
  if (/^wss?:\/\//i.test(text)) return text;
  if (/^https?:\/\//i.test(text)) return text.replace(/^http/i, "ws");
  const page = (globalThis as any).location as { protocol?: string; host?: string } | undefined;
  const scheme = page?.protocol === "https:" ? "wss:" : "ws:";
  const place = text.startsWith("/") ? (page?.host ?? "localhost") + text : text;
  return `${scheme}//${place}${place.includes("/") ? "" : "/ws"}`;
}
