/** What a server answered in place of a result. */
export class RpcError extends Error {
    constructor(
    /** 400 to 599 as in HTTP, or any other integer of the application. */
    code, message, 
    /** What the server added, if anything. */
    data, 
    /** The procedure. */
    rpc) {
        super(message);
        this.code = code;
        this.data = data;
        this.rpc = rpc;
        this.name = "RpcError";
    }
}
/** The connection went away before the answer came, or there is none. */
export class DisconnectedError extends Error {
    constructor(message, 
    /** The close code, 1006 when the connection broke; the HTTP status of a refusal where it is known. */
    code = 1006, 
    /** The server's words. */
    reason = "") {
        super(message);
        this.code = code;
        this.reason = reason;
        this.name = "DisconnectedError";
    }
}
