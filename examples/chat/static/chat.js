// The page's program. `build.sh` compiles it, with api.ts, which is generated from app.py.
import { Client, RpcError } from "@ssgi-gateway/swill";
import { Api } from "./api.js";
const $ = (selector) => document.querySelector(selector);
const PIECE = 48 * 1024;
const QUIET = 2500;
const element = (tag, className = "", text = "") => {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
};
const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const bytes = (size) => size < 1024 ? `${size} B` : size < 1048576 ? `${(size / 1024).toFixed(0)} KiB` : `${(size / 1048576).toFixed(1)} MiB`;
class Chat {
    me = this.remembered();
    client = new Client({
        url: new URL("ws", location.href).href,
        onState: (state) => this.showState(state),
        onConnected: () => void this.entered(),
    });
    api = new Api(this.client);
    room = "";
    rooms = [];
    positions = new Map();
    news = null;
    leave = () => { };
    typing = null;
    quiet = 0;
    worker = 0;
    last = null;
    start() {
        const name = $("#name");
        name.value = this.me.name;
        name.addEventListener("change", () => {
            this.me.name = name.value.trim().slice(0, 40) || this.me.name;
            name.value = this.me.name;
            localStorage.setItem("chat-name", this.me.name);
            void this.entered(true);
        });
        document.documentElement.style.setProperty("--me", `var(--color-${this.me.color})`);
        const text = $("#text");
        $("#composer").addEventListener("submit", (event) => {
            event.preventDefault();
            void this.say(text);
        });
        text.addEventListener("keydown", (event) => {
            if (event.key !== "Enter" || event.shiftKey)
                return;
            event.preventDefault();
            void this.say(text);
        });
        text.addEventListener("input", () => this.writing());
        const input = $("#file");
        input.addEventListener("change", () => {
            for (const file of input.files ?? [])
                void this.upload(file);
            input.value = "";
        });
        document.addEventListener("dragover", (event) => event.preventDefault());
        document.addEventListener("drop", (event) => {
            event.preventDefault();
            for (const file of event.dataTransfer?.files ?? [])
                void this.upload(file);
        });
        $("#kill").addEventListener("click", () => {
            this.api.chat.kill().catch((error) => {
                if (error instanceof RpcError)
                    this.complain(error); // what else would it be than the end of the worker
            });
        });
        addEventListener("hashchange", () => this.go(location.hash.slice(1)));
    }
    remembered() {
        const adjectives = ["Quiet", "Quick", "Sunny", "Brave", "Clever", "Gentle", "Lucky", "Merry"];
        const animals = ["Otter", "Heron", "Lynx", "Badger", "Finch", "Marten", "Owl", "Hare"];
        const pick = (from) => from[Math.floor(Math.random() * from.length)];
        const name = localStorage.getItem("chat-name") ?? `${pick(adjectives)} ${pick(animals)}`;
        const id = Array.from(crypto.getRandomValues(new Uint8Array(6)), (byte) => byte.toString(16).padStart(2, "0")).join("");
        return { id, name, color: parseInt(id.slice(0, 4), 16) % 12 };
    }
    /** There is a connection, the first or another one: say who we are, and be in the room again. */
    async entered(renamed = false) {
        try {
            this.rooms = await this.api.chat.enter(this.me);
            await this.showWorker();
        }
        catch (error) {
            this.complain(error);
            return;
        }
        if (this.room === "" || renamed) {
            const wanted = this.room || location.hash.slice(1);
            this.room = "";
            this.go(this.rooms.some(({ name }) => name === wanted) ? wanted : this.rooms[0].name);
        }
        else {
            this.bePresent();
        }
    }
    /** Who serves us; another one than before has taken over from it. */
    async showWorker() {
        const { host, pid, mortal } = await this.api.chat.where();
        if (this.worker && this.worker !== pid)
            this.note(`Worker ${this.worker} is gone, and worker ${pid} has taken over.`);
        this.worker = pid;
        $("#pid").textContent = `worker ${pid} on ${host}`;
        $("#kill").hidden = !mortal;
    }
    go(name) {
        if (name === this.room || !this.rooms.some((room) => room.name === name))
            return;
        this.room = name;
        if (location.hash.slice(1) !== name)
            history.replaceState(null, "", `#${name}`);
        this.typing?.end();
        this.typing = null;
        this.news?.close();
        this.last = null;
        $("#messages").replaceChildren();
        $("#room").textContent = `# ${name}`;
        $("#about").textContent = this.rooms.find((room) => room.name === name).about;
        this.showRooms();
        this.bePresent();
        void this.read(name);
        void this.watchTyping(name);
        $("#text").focus();
    }
    showRooms() {
        $("#rooms").replaceChildren(...this.rooms.map(({ name, about }) => {
            const link = element("a", name === this.room ? "room here" : "room", name);
            link.href = `#${name}`;
            link.title = about;
            return link;
        }));
    }
    /** What is said, from the beginning of what is kept; the subscription goes on over reconnections. */
    async read(room) {
        const news = this.api.subscribe(`room.${room}`, { since: "", onGap: () => this.note("Older messages are gone.") });
        this.news = news;
        try {
            for await (const { id, data } of news) {
                if (this.news !== news)
                    return;
                this.positions.set(room, id);
                this.showMessage(data);
            }
        }
        catch (error) {
            this.complain(error);
        }
    }
    bePresent() {
        this.leave();
        const present = this.api.chat.present(this.room);
        this.leave = () => present.cancel();
        void (async () => {
            try {
                for await (const people of present)
                    this.showPeople(people);
            }
            catch (error) {
                if (error instanceof RpcError)
                    this.complain(error); // a lost connection comes back, and then we are here again
            }
        })();
    }
    async watchTyping(room) {
        const writing = new Map();
        const watched = this.api.subscribe(`typing.${room}`);
        try {
            for await (const { data } of watched) {
                if (this.room !== room)
                    return;
                if (data.typing && data.who.id !== this.me.id)
                    writing.set(data.who.id, data.who.name);
                else
                    writing.delete(data.who.id);
                const names = [...writing.values()];
                const verb = names.length === 1 ? "is" : "are";
                $("#typing").textContent = names.length ? `${names.slice(0, 3).join(", ")} ${verb} writing` : "";
                $("#typing").classList.toggle("on", names.length > 0);
            }
        }
        catch (error) {
            this.complain(error);
        }
        finally {
            watched.close();
        }
    }
    writing() {
        if (this.typing === null) {
            const stream = this.api.chat.typing({ metadata: { room: this.room } });
            stream.result().catch(() => (this.typing = null));
            let told = false;
            this.typing = {
                send: (on) => {
                    if (on !== told && !stream.ended)
                        void stream.send((told = on));
                },
                end: () => stream.endStream(),
            };
        }
        this.typing.send(true);
        clearTimeout(this.quiet);
        this.quiet = window.setTimeout(() => this.typing?.send(false), QUIET);
    }
    async say(input) {
        const text = input.value.trim();
        if (text === "")
            return;
        input.value = "";
        this.typing?.send(false);
        try {
            await this.api.chat.say({ room: this.room, text }, { timeout: 10_000 });
        }
        catch (error) {
            input.value ||= text;
            this.complain(error);
        }
    }
    async upload(file) {
        const bar = element("div", "upload");
        const fill = element("i");
        bar.append(element("span", "", file.name), fill);
        $("#uploads").append(bar);
        try {
            const stream = this.api.chat.upload();
            const sending = (async () => {
                await stream.send({ room: this.room, name: file.name, size: file.size });
                for (let at = 0; at < file.size && !stream.ended; at += PIECE) {
                    await stream.send({ data: new Uint8Array(await file.slice(at, at + PIECE).arrayBuffer()) });
                }
                stream.endStream();
            })();
            for await (const { received, size } of stream)
                fill.style.width = `${(100 * received) / size}%`;
            await sending;
        }
        catch (error) {
            this.complain(error);
        }
        finally {
            setTimeout(() => bar.remove(), 400);
        }
    }
    showMessage({ who, time, text, file }) {
        const list = $("#messages");
        const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
        const follows = this.last !== null && this.last.id === who.id && time - this.last.time < 180;
        this.last = { id: who.id, time };
        const item = element("li", `message${who.id === this.me.id ? " mine" : ""}${follows ? " follows" : ""}`);
        item.style.setProperty("--who", `var(--color-${who.color ?? 0})`);
        const head = element("header");
        head.append(element("b", "", who.name), element("time", "", clock(time)));
        item.append(element("span", "face", who.name.slice(0, 1).toUpperCase()), head);
        if (text)
            item.append(element("p", "", text));
        if (file) {
            const link = element("a", "file");
            link.href = file.url;
            link.download = file.name;
            link.append(element("b", "", file.name), element("span", "", bytes(file.size)));
            if (/\.(png|jpe?g|gif|webp|svg)$/i.test(file.name)) {
                const image = element("img");
                image.src = file.url;
                image.alt = file.name;
                image.addEventListener("load", () => isAtEnd && (list.scrollTop = list.scrollHeight));
                link.prepend(image);
            }
            item.append(link);
        }
        list.append(item);
        if (isAtEnd)
            list.scrollTop = list.scrollHeight;
    }
    showPeople(people) {
        $("#count").textContent = String(people.length);
        $("#people").replaceChildren(...people.map(({ id, name, color }) => {
            const item = element("li", "", name + (id === this.me.id ? " (you)" : ""));
            item.style.setProperty("--who", `var(--color-${color ?? 0})`);
            return item;
        }));
    }
    showState(state) {
        const pill = $("#state");
        pill.dataset["state"] = state;
        pill.textContent = state === "open" ? "connected" : state === "closed" ? "gone" : `${state}…`;
    }
    note(text) {
        const note = element("div", "note", text);
        $("#notes").append(note);
        setTimeout(() => note.remove(), 6000);
    }
    complain(error) {
        this.note(error instanceof Error ? error.message : String(error));
    }
}
new Chat().start();
