export { Client } from "./client.js";
export { DisconnectedError, RpcError } from "./errors.js";
export { RequestType, ResponseType } from "./frames.js";
export { RpcRequest } from "./request.js";
export { Subscription } from "./subscription.js";
