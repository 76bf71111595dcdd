import { ResponseType, decodeAnswer, encodeRequest } from "./frames.js";
import { inNode } from "./socket.js";
/** Hello and pings count down from here, so that calls count up from 1. */
const HIGH = Number.MAX_SAFE_INTEGER;
const FEATURES = ["credit", "control"];
/** Milliseconds without a word after which a ping is sent, and those that it may stay unanswered. */
const SILENCE = 25000;
const PATIENCE = 10000;
const HIGH_WATER = 1024 * 1024;
/** One open connection: its requests by seq, hello, pings, what the server says of the connection itself. */
export class Link {
    constructor(socket, hello) {
        this.socket = socket;
        this.hello = hello;
        /** What the server offers; `null` until hello is answered, empty if it does not know it. */
        this.features = null;
        this.lost = false;
        this.onGoaway = () => { };
        this.seq = 0;
        this.high = HIGH;
        this.greeting = 0;
        this.greeted = false;
        this.requests = new Map();
        this.heardAt = Date.now();
        this.pingedAt = 0;
        socket.onmessage = (event) => this.heard(event.data);
        this.watch = setInterval(() => this.listen(), 1000);
        this.watch.unref?.();
    }
    /** Enter a request; returns its seq. Hello goes before the first one. */
    add(request) {
        this.greet();
        this.seq += 1;
        this.requests.set(this.seq, request);
        return this.seq;
    }
    remove(request) {
        if (this.requests.get(request.seq) === request)
            this.requests.delete(request.seq);
    }
    send(frame) {
        if (!this.lost)
            this.socket.send(frame);
    }
    /** Call back when the socket has room. */
    whenWritable(then) {
        if (this.lost || this.socket.bufferedAmount < HIGH_WATER)
            then();
        else
            setTimeout(() => this.whenWritable(then), 10);
    }
    close(code, reason) {
        this.socket.close(code, reason);
    }
    /** The connection is over: everything that is open fails. */
    end(error) {
        this.lost = true;
        clearInterval(this.watch);
        for (const request of [...this.requests.values()])
            request.fail(error);
        this.requests.clear();
    }
    greet() {
        if (this.greeted || this.hello === null)
            return;
        this.greeted = true;
        this.greeting = this.high--;
        // A page never sees the id of its session: it is in a cookie that scripts cannot read.
        const hello = inNode ? this.hello : { client: this.hello.client };
        this.send(encodeRequest(this.greeting, { ...hello, features: FEATURES }, "swill.hello"));
    }
    heard(message) {
        this.heardAt = Date.now();
        let answer;
        try {
            answer = decodeAnswer(message);
        }
        catch {
            return; // not for us
        }
        if (answer.seq === this.greeting && this.greeting !== 0) {
            const said = answer.type === ResponseType.MESSAGE ? answer.data : {};
            this.features = new Set(said.features ?? []);
            this.session = said.session;
        }
        else if (answer.seq === 0) {
            if (typeof answer.leading?.["session"] === "string")
                this.session = answer.leading["session"];
            if (answer.leading?.["goaway"] !== undefined)
                this.onGoaway();
        }
        else {
            this.requests.get(answer.seq)?.heard(answer); // a late frame of what is over is dropped
        }
    }
    listen() {
        const now = Date.now();
        if (now - this.heardAt < SILENCE) {
            this.pingedAt = 0;
        }
        else if (this.pingedAt === 0) {
            this.pingedAt = now;
            this.send(encodeRequest(this.high--, null, "swill.ping"));
        }
        else if (now - this.pingedAt >= PATIENCE) {
            this.socket.close(4000, "no answer");
            this.socket.onclose?.({ code: 1006, reason: "", wasClean: false });
        }
    }
}
