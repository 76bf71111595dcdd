/** What a server answered in place of a result. */
export class RpcError extends Error {
  override readonly name = "RpcError";

  constructor(
    /** 400 to 599 as in HTTP, or any other integer of the application. */
    readonly code: number,
    message: string,
    /** What the server added, if anything. */
    readonly data: unknown,
    /** The procedure. */
    readonly rpc: string,
  ) {
    super(message);
  }
}

/** The connection went away before the answer came, or there is none. */
export class DisconnectedError extends Error {
  override readonly name = "DisconnectedError";

  constructor(
    message: string,
    /** The close code, 1006 when the connection broke; the HTTP status of a refusal where it is known. */
    readonly code: number = 1006,
    /** The server's words. */
    readonly reason: string = "",
  ) {
    super(message);
  }
}
