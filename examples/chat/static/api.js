export class Api {
    client;
    constructor(client) {
        this.client = client;
    }
    chat = {
        /** Say who you are; the answer is the list of rooms. Again after each reconnection. */
        enter: (args, options) => this.client.call("chat.enter", args, { idempotent: true, ...options }),
        /** Kill that worker, with all connections it has; another one takes over. */
        kill: (args, options) => this.client.call("chat.kill", args, options),
        /** Be in a room, and see who else is: the list, and again whenever it changes. */
        present: (args, options) => this.client.rpc("chat.present", args, { idempotent: true, ...options }),
        /** Say something in a room. */
        say: (args, options) => this.client.call("chat.say", args, options),
        /** Tell a room, named in the metadata, while you are writing: ``true`` and ``false`` as it changes. */
        typing: (options) => this.client.rpc("chat.typing", undefined, { sendMetadataFirst: true, ...options }),
        /** Send a file to a room, piece by piece, and see how much of it has arrived. */
        upload: (options) => this.client.rpc("chat.upload", undefined, { sendMetadataFirst: true, ...options }),
        /** Which worker serves this connection. */
        where: (args, options) => this.client.call("chat.where", args, { idempotent: true, ...options }),
    };
    subscribe(topic, options) {
        return this.client.subscribe(topic, options);
    }
}
