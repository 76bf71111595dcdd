// The upload: progress while it goes, and then two digests side by side, the application's and the browser's.
//
// XMLHttpRequest, because fetch does not tell how much of a request's body has been sent.

const HASH_UP_TO = 64 << 20; // crypto.subtle wants the whole file in memory
const RANDOM_SIZE = 8e6;

export class Upload {
  #request = null;

  constructor(root, url) {
    const part = (id) => root.querySelector(`#${id}`);
    this.root = root;
    this.url = url;
    this.part = part;
    part("file").addEventListener("change", ({ target }) => target.files[0] && this.start(target.files[0]));
    part("random").addEventListener("click", () => this.start(randomFile()));
    part("cancel").addEventListener("click", () => this.#request?.abort());
    root.addEventListener("dragover", (event) => { event.preventDefault(); root.dataset.over = ""; });
    root.addEventListener("dragleave", () => delete root.dataset.over);
    root.addEventListener("drop", (event) => this.#drop(event));
  }

  start(file) {
    this.#request?.abort();
    const request = (this.#request = new XMLHttpRequest());
    const started = performance.now();
    this.#show(file);
    const [answered, hashed] = [this.#answer(request), digest(file)];
    request.upload.onprogress = ({ loaded, total }) => this.#progress(loaded, total, started);
    request.open("PUT", this.url());
    request.setRequestHeader("content-type", "application/octet-stream");
    request.send(file);
    Promise.all([answered, hashed]).then(
      ([answer, own]) => request === this.#request && this.#done(answer, own, file, started),
      (error) => request === this.#request && this.#failed(error),
    );
  }

  #drop(event) {
    event.preventDefault();
    delete this.root.dataset.over;
    if (event.dataTransfer.files[0]) this.start(event.dataTransfer.files[0]);
  }

  #answer(request) {
    return new Promise((resolve, reject) => {
      request.onload = () =>
        request.status === 200
          ? resolve(JSON.parse(request.responseText))
          : reject(new Error(`Refused with ${request.status} ${request.statusText}`.trim()));
      request.onerror = () => reject(new Error("The connection was lost."));
      request.onabort = () => reject(new Error("Cancelled."));
    });
  }

  #show(file) {
    this.part("transfer").hidden = this.part("cancel").hidden = false;
    this.part("digests").hidden = this.part("verdict").hidden = this.part("upload-badge").hidden = true;
    this.part("upload-name").textContent = file.name;
    this.#progress(0, file.size, performance.now());
  }

  #progress(loaded, total, started) {
    this.part("upload-progress").value = total ? loaded / total : 1;
    this.part("upload-note").textContent = `${size(loaded)} of ${size(total)}${rate(loaded, started)}`;
  }

  #done(answer, own, file, started) {
    this.part("cancel").hidden = true;
    this.part("upload-progress").value = 1;
    this.part("upload-note").textContent = `${size(answer.size)}${rate(answer.size, started)}`;
    this.part("upload-badge").hidden = false;
    this.part("upload-badge").textContent = label(answer.protocol);
    this.part("digests").hidden = this.part("verdict").hidden = false;
    this.part("digest-server").textContent = answer.sha256;
    this.part("digest-browser").textContent = own ?? "–";
    const equal = answer.size === file.size && (own === null || answer.sha256 === own);
    this.part("verdict").dataset.equal = equal;
    this.part("verdict").textContent = !equal ? "The digests differ" : own ? "The digests are equal" : whyNoDigest(file);
  }

  #failed(error) {
    this.part("cancel").hidden = true;
    this.part("upload-note").textContent = error.message;
  }
}

// What carried it, for people to read.
export function label(protocol) {
  return { scgi: "SCGI", fastcgi: "FastCGI", websocket: "Direct" }[protocol] ?? String(protocol);
}

async function digest(file) {
  if (file.size > HASH_UP_TO || !globalThis.crypto?.subtle) return null;
  const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function whyNoDigest(file) {
  return file.size > HASH_UP_TO ? "All bytes arrived; too many to hash here" : "All bytes arrived; hashing here needs HTTPS";
}

function randomFile() {
  const bytes = new Uint8Array(RANDOM_SIZE);
  // One call gives at most 65536 bytes.
  for (let at = 0; at < bytes.length; at += 65536) crypto.getRandomValues(bytes.subarray(at, at + 65536));
  return new File([bytes], "random bytes");
}

function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function rate(bytes, started) {
  const seconds = (performance.now() - started) / 1000;
  return bytes && seconds > 0.01 ? ` · ${size(bytes / seconds)}/s` : "";
}
