export { Client, type ClientOptions, type ReconnectOptions, type State } from "./client.js";
export { DisconnectedError, RpcError } from "./errors.js";
export { type ErrorMessage, type Metadata, RequestType, ResponseType } from "./frames.js";
export { type CallOptions, RpcRequest, type RpcResponse } from "./request.js";
export { type Item, type SubscribeOptions, Subscription } from "./subscription.js";
