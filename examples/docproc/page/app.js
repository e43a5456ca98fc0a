// The page of docproc. Text of documents is only ever set as text, never as markup.

const $ = (selector, root = document) => root.querySelector(selector);
const documents = new Map();
let shown = null;
let next = null;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// ---- who asks

// Kept until the tab is closed, and out of the reach of other sites.
const KEY = "docproc-key";
let asked = null;

function askForKey(message) {
  asked ??= new Promise((given) => {
    const form = $("#key-form");
    $("#key-message").textContent = message;
    $("#key").hidden = false;
    $("#key-text").focus();
    form.onsubmit = (event) => {
      event.preventDefault();
      const text = $("#key-text").value.trim();
      // Others cannot be in a header.
      if (!/^[\x21-\x7e]+$/.test(text)) return;
      sessionStorage.setItem(KEY, text);
      form.reset();
      $("#key").hidden = true;
      asked = null;
      given();
    };
  });
  return asked;
}

// `fetch` with the key, which is asked for where the service wants one.
async function ask(path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    $("#forget").hidden = !key;
    const headers = key ? { authorization: `Bearer ${key}` } : {};
    const response = await fetch(path, { ...options, headers });
    if (response.status !== 401) return response;
    // Another request may have been given a new one meanwhile.
    if (sessionStorage.getItem(KEY) === key) {
      await askForKey(key ? "The service does not take this key. Another?" : "The service asks for an API key.");
    }
  }
}

$("#forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  location.reload();
});

async function call(path, options) {
  const response = await ask(path, options);
  const body = response.status === 204 ? null : await response.json().catch(() => null);
  if (!response.ok) throw new Error(body?.detail ?? body?.title ?? `The service answered ${response.status}.`);
  return body;
}

function complain(message) {
  $("#notices").replaceChildren(...(message ? [element("p", {}, message)] : []));
}

// ---- the list

const size = (bytes) =>
  bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1048576).toFixed(1)} MiB`;

function state(item) {
  if (item.status === "done") return `${item.format}, ${item.words ?? 0} words, ${Math.round(item.milliseconds)} ms`;
  if (item.status === "failed") return item.error?.message ?? "";
  return size(item.bytes);
}

function row(item) {
  const button = element(
    "button",
    { type: "button" },
    item.title || item.name,
    element("span", { class: "row-state" }, element("b", {}, item.status), ` ${state(item)}`),
  );
  if (item.id === shown) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => (location.hash = item.id));
  return element("li", { "data-id": item.id, "data-status": item.status }, button);
}

function put(item, first = true) {
  const known = documents.has(item.id) && $(`#documents [data-id="${item.id}"]`);
  documents.set(item.id, item);
  const made = row(item);
  if (known) known.replaceWith(made);
  else if (first) $("#documents").prepend(made);
  else $("#documents").append(made);
  $("#empty").hidden = documents.size > 0;
}

// Answers may come later than events that were sent after them: what was heard since a question is newer than its answer.
const heard = new Map();
let moment = 0;

function hearOf(item) {
  heard.set(item.id, ++moment);
  put(item);
}

async function list(before) {
  const asked = moment;
  const page = await call(`/v1/documents?limit=50${before ? `&before=${before}` : ""}`);
  const newer = [...documents.values()].filter((item) => heard.get(item.id) > asked);
  if (!before) {
    documents.clear();
    $("#documents").replaceChildren();
  }
  for (const item of page.documents) put(item, false);
  for (const item of newer) put(item);
  next = page.next;
  $("#more").hidden = !next;
}

// ---- uploads

async function upload(files) {
  complain("");
  for (const file of files) {
    const form = new FormData();
    form.append("file", file, file.name);
    try {
      const { documents: taken, refused } = await call("/v1/documents", { method: "POST", body: form });
      for (const item of taken) if (!documents.has(item.id)) hearOf(item);
      for (const { name, problem } of refused) complain(`${name}: ${problem.detail ?? problem.title}`);
      if (taken.length === 1 && files.length === 1) location.hash = taken[0].id;
    } catch (error) {
      complain(`${file.name}: ${error.message}`);
    }
  }
}

const drop = $("#drop");
$("#files").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  upload(files);
});
drop.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    $("#files").click();
  }
});
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
addEventListener("dragleave", (event) => event.relatedTarget ?? drop.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length) upload([...event.dataTransfer.files]);
});

// ---- one document

// Spans are in bytes of UTF-8.
function slicer(text) {
  const bytes = new TextEncoder().encode(text);
  const decoder = new TextDecoder();
  return ({ start, end }) => decoder.decode(bytes.subarray(start, end));
}

// Cells are parted by bars that no backslash precedes.
const cells = (line) => line.slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

function table(lines) {
  const [head, , ...rows] = lines;
  const line = (text, kind) => element("tr", {}, ...cells(text).map((cell) => element(kind, {}, cell)));
  return element("table", {}, line(head, "th"), ...rows.map((text) => line(text, "td")));
}

function rendered(text) {
  return text.split("\n\n").map((block) => {
    const heading = /^(#{1,6}) ([^\n]*)$/.exec(block);
    if (heading) return element(`h${Math.min(6, heading[1].length + 2)}`, {}, heading[2]);
    const lines = block.split("\n");
    if (lines.length > 1 && lines[0].startsWith("| ") && /^\|( --- \|)+$/.test(lines[1])) return table(lines);
    return element("p", {}, block);
  });
}

function bars(timings) {
  const most = Math.max(1, ...timings.map(([, micros]) => micros));
  return timings.map(([stage, micros]) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, value] of Object.entries({ width: 240, height: 14, role: "presentation" })) svg.setAttribute(key, value);
    for (const [key, value] of Object.entries({ width: Math.max(1, (240 * micros) / most), height: 14, rx: 2 })) bar.setAttribute(key, value);
    svg.append(bar);
    const time = `${(micros / 1000).toFixed(2)} ms`;
    return element("tr", {}, element("th", {}, stage), element("td", { class: "number" }, time), element("td", {}, svg));
  });
}

function pairs(list) {
  const filled = list.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element("dl", {}, ...filled.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]));
}

function about(item, near) {
  const { metadata, statistics, warnings, parts, fingerprint } = item.document;
  const language = metadata.language && `${metadata.language.code} (${Math.round(metadata.language.confidence * 100)} % sure)`;
  const made = [
    pairs([
      ["Title", metadata.title], ["Author", metadata.author], ["Created", metadata.created], ["Modified", metadata.modified],
      ["Pages", metadata.pages], ["Language", language], ["Encoding", metadata.encoding],
      ["Words", statistics.words], ["Characters", statistics.characters],
      ...Object.entries(metadata.properties ?? {}), ["BLAKE3", fingerprint.content],
    ]),
  ];
  const group = (title, lines) => lines.length && made.push(element("h3", {}, title), element("ul", {}, ...lines));
  group("Inside", parts.map((part) => element("li", {}, `${part.name} (${part.format})`)));
  group("Could not be read", warnings.map((warning) => element("li", {}, warning)));
  group("Much like it", near.map((other) =>
    element("li", {}, element("a", { href: `#${other.id}` }, other.name), ` ${Math.round(other.similarity * 100)} %`)));
  return made;
}

async function show(id) {
  shown = id || null;
  for (const [other, item] of documents) {
    if ($(`#documents [data-id="${other}"] [aria-current]`) || other === id) put(item);
  }
  if (!id) return;
  const view = $("#document");
  try {
    const item = await call(`/v1/documents/${encodeURIComponent(id)}`);
    if (shown !== id) return;
    const made = $("#view").content.cloneNode(true);
    $('[data-field="name"]', made).textContent = item.title || item.name;
    $('[data-field="summary"]', made).textContent = [item.name, size(item.bytes), item.status].join(" · ");
    if (!item.document) {
      for (const part of made.querySelectorAll(".tabs, [data-panel]")) part.remove();
      made.append(element("p", {}, item.status === "failed" ? item.error.message : "It is being read …"));
      if (item.status === "failed") {
        const again = element("button", { type: "button", class: "action" }, "Try again");
        const waits = (item) => documents.get(id)?.status === "failed" && hearOf(item);
        again.addEventListener("click", () => call(`/v1/documents/${id}/retry`, { method: "POST" }).then(waits, (e) => complain(e.message)));
        made.append(again);
      }
      view.replaceChildren(made);
      return;
    }
    const { near } = await call(`/v1/documents/${id}/near`);
    if (shown !== id) return;
    const slice = slicer(item.document.text);
    const nothing = element("p", { class: "hint" }, "There is no text in this document.");
    $("#text", made).append(...(item.document.text ? rendered(item.document.text) : [nothing]));
    $("#chunks", made).append(...item.document.chunks.map((chunk, i) =>
      element("li", {}, element("b", {}, `${i + 1} · ${chunk.tokens} tokens`), slice(chunk.span))));
    $("#timings", made).append(...bars(item.timings));
    $("#about", made).append(...about(item, near));
    for (const tab of made.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => open(tab.dataset.tab));
    view.replaceChildren(made);
  } catch (error) {
    view.replaceChildren(element("p", {}, error.message));
  }
}

function open(name) {
  for (const tab of document.querySelectorAll("[role=tab]")) tab.setAttribute("aria-selected", tab.dataset.tab === name);
  for (const panel of document.querySelectorAll("[data-panel]")) panel.hidden = panel.dataset.panel !== name;
}

addEventListener("hashchange", () => show(location.hash.slice(1)));

// ---- search

let typed;
$("#search-form").addEventListener("submit", (event) => event.preventDefault());
$("#search").addEventListener("input", (event) => {
  clearTimeout(typed);
  typed = setTimeout(() => search(event.target.value.trim()), 150);
});

async function search(query) {
  const results = $("#results");
  results.hidden = !query;
  for (const other of ["#documents", "#drop"]) $(other).hidden = Boolean(query);
  if (!query) return results.replaceChildren();
  const { hits } = await call(`/v1/search?q=${encodeURIComponent(query)}`);
  const rows = hits.map((hit) => {
    const snippet = hit.snippet.map((piece) => (piece.hit ? element("mark", {}, piece.text) : piece.text));
    const button = element("button", { type: "button" }, hit.title || hit.name, element("span", { class: "row-state" }, ...snippet));
    button.addEventListener("click", () => (location.hash = hit.id));
    return element("li", { "data-id": hit.id }, button);
  });
  results.replaceChildren(...(rows.length ? rows : [element("li", { class: "hint" }, "Nothing found.")]));
}

// ---- live

const refresh = () => list().catch((error) => complain(error.message));

const hear = {
  document(data) {
    const item = JSON.parse(data);
    hearOf(item);
    if (item.id === shown && ["done", "failed"].includes(item.status)) show(shown);
  },
  stats(data) {
    const { queued, running, done, failed } = JSON.parse(data);
    $("#stats").textContent = `${done} read, ${running} in work, ${queued} waiting, ${failed} failed`;
  },
  lagged: refresh,
};

// Server-sent events, as this service writes them. An EventSource sends no key.
async function listen(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const [name, data] = ["event", "data"].map((field) => new RegExp(`^${field}: ?(.*)$`, "m").exec(event)?.[1]);
      hear[name]?.(data);
    }
  }
}

async function follow() {
  const wait = 3000;
  for (;;) {
    try {
      const response = await ask("/v1/events");
      if (response.status === 403) return complain("This key may not read documents.");
      if (response.ok) {
        // Also after the service was away.
        refresh();
        await listen(response.body);
      }
    } catch {
      // It is away; the next turn tells whether it is back.
    }
    await new Promise((resume) => setTimeout(resume, wait));
  }
}

$("#more").addEventListener("click", () => list(next));
follow();
show(location.hash.slice(1));
