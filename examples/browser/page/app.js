// The page of browser. Text of pages, jobs and workflows is only ever set as text, never as markup.

const $ = (selector, root = document) => root.querySelector(selector);

/** Rows of one list that are in the page at most. */
const MOST_ROWS = 200;
/** Jobs that are asked for at a time. */
const PAGE = 50;
/** What the time line shows, in milliseconds. */
const WINDOW = 300_000;
/** Characters of a single value or text that are shown at most. */
const MOST_TEXT = 50_000;

const EXAMPLES = {
  "search a site": `name: search

inputs:
  base: http://127.0.0.1:8000 # a run may give others
  word: lighthouse

steps:
  - goto: "{{base}}/search"
  - when: # a banner that is there only sometimes
      target: "#cookies"
      state: visible
      steps:
        - click: "text=Only what is needed"
  - type: { into: "input[name=q]", text: "{{word}}", clear: true, enter: true }
  - wait: { for: ".result", within: 10s }
  - extract: { name: titles, from: ".result h2", as: texts }
  - extract: { name: links, from: ".result a", as: attributes, attribute: href }
`,
  "log in and take pictures": `name: login and screenshot

inputs:
  base: http://127.0.0.1:8000
  user: # both must be given by the run
  password:

steps:
  - dialog: accept
  - goto: "{{base}}/login"
    retries: 2
  - type: { into: "#user", text: "{{user}}" }
  - type: { into: "#password", text: "{{password}}" }
  - click: "text=Log in"
  - wait: { url: /account, within: 10s }
  - screenshot: { name: account, full: true }
  - pdf: account
  - download: { click: "text=Statement", name: statement }
    optional: true # the run goes on without it
`,
  "a table as JSON": `name: table to json
time: 1m

inputs:
  page: # no default: every run must give the address

steps:
  - goto: "{{page}}"
  - wait: { for: "table tbody tr", state: attached }
    within: 20s
  - extract: { name: rows, from: table, as: table }
  - extract: { name: title, title: true }
`,
  "the same for each of a list": `name: loop over a list

inputs:
  base: http://127.0.0.1:8000
  words: [rust, tokio, serde]

steps:
  - for_each:
      in: "{{words}}"
      as: word
      steps:
        - goto: "{{base}}/quotes?about={{word}}"
        - frame:
            of: "iframe#quotes"
            steps:
              - extract: { name: quote, from: blockquote }
        - screenshot: page # then page-2, page-3
`,
};
const EXAMPLE_INPUTS = {
  "log in and take pictures": { user: "", password: "" },
  "a table as JSON": { page: "https://example.com" },
};

// ---- small things

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Sets a text only if it is another, so that nothing is selected or announced anew. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1, us: 1e-3, ns: 1e-6 };

/** Milliseconds of "1m30s". */
function milliseconds(text) {
  let sum = 0;
  for (const [, number, unit] of String(text ?? "").matchAll(/(\d+)(ms|us|ns|d|h|m|s)/g)) sum += number * UNITS[unit];
  return sum;
}

function time(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 1) return "0 ms";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 9_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const pair = (large, small, a, b) => `${large}${a} ${String(small).padStart(2, "0")}${b}`;
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), seconds % 60, "m", "s");
  if (seconds < 86_400) return pair(Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, "h", "m");
  return pair(Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, "d", "h");
}

/** An age, which changes with every second, is told without tenths. */
const age = (ms) => (Number.isFinite(ms) ? time(Math.max(0, Math.floor(ms / 1_000) * 1_000)).replace("0 ms", "0 s").replace(".0 s", " s") : "–");
const since = (at) => Date.now() - Date.parse(at);

/** A size, in the unit that fits `like`. */
function bytes(count, like = count, unit = true) {
  if (count === null || count === undefined) return "–";
  const i = like < 1 ? 0 : Math.min(4, Math.floor(Math.log2(like) / 10));
  const value = count / 1024 ** i;
  return `${i === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)}${unit ? ` ${["B", "KiB", "MiB", "GiB", "TiB"][i]}` : ""}`;
}

const clock = (at) => (at ? new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" }) : null);
const cut = (text) => (text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}\n… and ${text.length - MOST_TEXT} more characters` : text);

// ---- calls

class Refused extends Error {
  constructor(status, problem, wait) {
    const said = problem?.detail ?? problem?.title ?? `The service answered ${status}.`;
    super(wait ? `${said} Try again in ${wait} s.` : said);
    this.status = status;
    const problems = (problem?.problems ?? []).map(({ pointer, message }) => ({ path: pointer, problem: message }));
    this.errors = Array.isArray(problem?.errors) ? problem.errors : problems;
    this.more = problem?.more ?? 0;
  }
}

/** Where the API key is kept as long as this tab is. */
const KEPT_KEY = "browser.key";
let apiKey = sessionStorage.getItem(KEPT_KEY);
/** Whoever was asked for the key and gave none is not asked again before the button is pressed. */
let declined = false;
let asking = null;

function drawKey() {
  document.body.dataset.key = apiKey ? "there" : declined ? "missing" : "none";
  say($("#key-button"), apiKey ? "Forget the API key" : "Enter the API key");
}

/** Asks for the API key; all who need it wait for one answer. */
function askKey(problem) {
  asking ??= (async () => {
    const dialog = $("#sign-in");
    const input = $("#api-key");
    for (let told = problem; ; told = "A key is one word of letters, digits and signs.") {
      say($("#sign-in-problem"), told);
      $("#sign-in-problem").hidden = !told;
      dialog.returnValue = "no";
      dialog.showModal();
      await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
      const given = input.value.trim();
      input.value = "";
      declined = dialog.returnValue !== "yes";
      if (!declined && !/^[\x21-\x7e]+$/.test(given)) continue;
      if (!declined) sessionStorage.setItem(KEPT_KEY, (apiKey = given));
      drawKey();
      return !declined;
    }
  })().finally(() => (asking = null));
  return asking;
}

async function answer(path, options = {}, limit = 20_000) {
  for (;;) {
    const used = apiKey;
    const headers = { ...options.headers, ...(used && { authorization: `Bearer ${used}` }) };
    let response;
    try {
      response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(limit), ...options, headers });
    } catch (error) {
      const detail = error.name === "TimeoutError" ? "The service took too long to answer." : "The service cannot be reached.";
      throw new Refused(0, { detail });
    }
    if (response.ok) return response;
    const refused = new Refused(response.status, await response.json().catch(() => null), response.headers.get("retry-after"));
    if (refused.status !== 401) throw refused;
    // It may have been given while this was on its way.
    const isNew = apiKey !== used;
    if (!isNew && (declined || !(await askKey(used ? "The service does not take this key." : "")))) throw refused;
  }
}

async function call(path, options, limit) {
  try {
    return await (await answer(path, options, limit)).json();
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(0, { detail: "The answer broke off." });
  }
}

function post(path, body, headers = {}, limit = 20_000) {
  const content = body === undefined ? {} : { body: JSON.stringify(body) };
  return call(path, { method: "POST", headers: { "content-type": "application/json", ...headers }, ...content }, limit);
}

/** Asks before anything is lost; without `yes` it only tells. */
async function ask(title, text, yes, no) {
  const dialog = $("#ask");
  while (dialog.open) await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  say($("#ask-title"), title);
  say($("#ask-text"), text);
  say($('[value="yes"]', dialog), yes ?? "");
  $('[value="yes"]', dialog).hidden = !yes;
  say($('[value="no"]', dialog), no);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

// ---- the pool

let pool = null;
let poolAt = 0;
/** What the time line is drawn of: `[at, in use, waiting]`, and `[at]` where nothing was heard. */
let history = [];

function takePool(status) {
  pool = status;
  poolAt = Date.now();
  const { in_use } = status.browsers;
  const { waiting } = status.tabs;
  const last = history.at(-1);
  if (last?.[1] !== in_use || last?.[2] !== waiting) history.push([poolAt, in_use, waiting]);
  drawPool();
  drawTimeline();
}

function health({ circuit_open_for, last_error, paused, closed, creating, size, max }) {
  if (closed) return ["bad", "Closed: no browser is handed out any more."];
  if (circuit_open_for) {
    const left = milliseconds(circuit_open_for) - (Date.now() - poolAt);
    const when = left > 0 ? `for another ${age(left + 999)}` : "until the next try";
    return ["bad", `Circuit open ${when}: no browser is started. ${last_error ?? ""}`];
  }
  if (last_error) return ["warn", `The last start of a browser failed: ${last_error}`];
  if (paused) return ["warn", "Paused: nothing is handed out until the pool is resumed."];
  return ["good", `${size} of at most ${max} browsers are there${creating ? `, ${creating} more being started` : ""}. Nothing is wrong.`];
}

function drawPool() {
  if (!pool) return;
  const { browsers, objects, jobs, artifacts, language } = pool;
  const held = objects.map((object) => object.memory_bytes).filter((memory) => memory !== undefined && memory !== null);
  const tokens = (count) => (count ?? 0).toLocaleString("en", { notation: "compact" });
  const figures = {
    in_use: `${browsers.in_use} of ${browsers.max}`,
    callers: String(pool.tabs.waiting),
    running: String(jobs.running),
    waiting: String(jobs.waiting),
    memory: bytes(pool.service_memory_bytes),
    browser_memory: held.length ? bytes(held.reduce((sum, memory) => sum + memory, 0)) : "–",
    artifacts: `${bytes(artifacts.bytes, artifacts.quota, false)} of ${bytes(artifacts.quota)}`,
    language: language ? `${tokens(language.tokens_today)} of ${tokens(language.tokens_limit)}` : "no model",
  };
  for (const [name, text] of Object.entries(figures)) say($(`[data-figure="${name}"]`), text);
  $('[data-figure="artifacts"]').title = `${artifacts.files} files`;
  $('[data-figure="language"]').title = language?.model ?? (language ? "no model, only the grammar" : "");
  const [how, text] = health(browsers);
  $("#health").dataset.health = how;
  say($("#health"), text);
  drawObjects(browsers, objects);
}

const STANDINGS = { idle: "idle", in_use: "in use", checking: "checking", starting: "starting", none: "free place" };

function drawObjects({ max, creating }, objects) {
  const passed = Date.now() - poolAt;
  const list = objects.slice(0, MOST_ROWS).map((object) => ({
    state: object.standing,
    by: object.by ?? "",
    cells: [
      object.since ? age(milliseconds(object.since) + passed) : "–",
      age(milliseconds(object.age) + passed),
      String(object.uses),
      String(object.contexts ?? "–"),
      bytes(object.memory_bytes),
    ],
  }));
  const blank = (state) => ({ state, by: "", cells: ["", "", "", "", ""] });
  while (list.length < Math.min(MOST_ROWS, objects.length + creating)) list.push(blank("starting"));
  // Places that are not taken keep their rows, so that nothing moves when browsers come and go.
  while (list.length < Math.min(max, 16)) list.push(blank("none"));
  const body = $("#objects");
  while (body.rows.length > list.length) body.lastChild.remove();
  while (body.rows.length < list.length) {
    const number = () => element("td", { class: "number" });
    body.append(element("tr", {}, element("td", {}, element("span", { class: "word" })), number(), number(), number(), element("td", { class: "number wide" }), number()));
  }
  list.forEach(({ state, by, cells }, i) => {
    const row = body.rows[i];
    row.dataset.state = state;
    say($(".word", row), STANDINGS[state] ?? state);
    row.title = by ? `taken by ${by}` : "";
    cells.forEach((text, column) => say(row.cells[column + 1], text));
  });
}

function drawTimeline() {
  const end = Date.now();
  const start = end - WINDOW;
  // The last one before the window says how it begins.
  while (history.length > 1 && history[1][0] <= start) history.shift();
  if (history.length > 2_000) history = history.slice(-2_000);
  const shown = history.filter((point) => point.length > 1);
  const top = Math.max(1, pool?.browsers.max ?? 1, ...shown.map((point) => Math.max(point[1], point[2])));
  const x = (at) => Math.max(0, (600 * (at - start)) / WINDOW).toFixed(1);
  const y = (count) => (96 - (92 * count) / top).toFixed(1);
  const lines = { "in-use": "", waiting: "" };
  history.forEach(([at, ...counts], i) => {
    if (!counts.length) return;
    const until = x(history[i + 1]?.[0] ?? end);
    const begins = !(history[i - 1]?.length > 1);
    const ends = !(history[i + 1]?.length > 1);
    lines["in-use"] += `${begins ? `M${x(at)} 96V${y(counts[0])}` : `V${y(counts[0])}`}H${until}${ends ? "V96" : ""}`;
    lines.waiting += `${begins ? `M${x(at)} ${y(counts[1])}` : `V${y(counts[1])}`}H${until}`;
  });
  const svg = $("#timeline svg");
  for (const [name, path] of Object.entries(lines)) $(`path.${name}`, svg).setAttribute("d", path || "M0 0");
  for (const side of ["y1", "y2"]) $(".limit", svg).setAttribute(side, y(pool?.browsers.max ?? top));
  if (!pool) return;
  const most = (column) => Math.max(0, ...shown.map((point) => point[column]));
  const told = `Last minutes: ${pool.browsers.in_use} of ${pool.browsers.max} in use now, at most ${most(1)}; ${pool.tabs.waiting} waiting now, at most ${most(2)}.`;
  if (svg.getAttribute("aria-label") !== told) svg.setAttribute("aria-label", told);
}

// ---- the list of jobs

/** Newest first; at most MOST_ROWS. */
let jobs = [];
let filter = "";
let complete = false;
/** Lists asked for; the answer to an older request than the last is not used. */
let asked = 0;
/** Events that came while a list was on its way, which may know more than it. */
let meanwhile = null;
const rows = new Map();
const cancelling = new Set();

const ended = (job) => !["waiting", "running"].includes(job.state);
const newer = (a, b) => Date.parse(b.created_at) - Date.parse(a.created_at) || (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);
const took = (job) => (job.started_at ? (job.ended_at ? Date.parse(job.ended_at) : Date.now()) - Date.parse(job.started_at) : NaN);

function merge(list, changed) {
  const all = new Map(list.map((job) => [job.id, job]));
  for (const job of changed) {
    if (filter && job.state !== filter) all.delete(job.id);
    else all.set(job.id, job);
  }
  let merged = [...all.values()].sort(newer);
  // A job older than the last of an unfinished list has its place further down.
  const last = list.at(-1);
  if (!complete && last) merged = merged.filter((job) => newer(job, last) <= 0);
  if (merged.length > MOST_ROWS) complete = false;
  return merged.slice(0, MOST_ROWS);
}

async function loadJobs(before) {
  const mine = ++asked;
  const changed = (meanwhile = new Map());
  const limit = before ? Math.min(PAGE, MOST_ROWS - jobs.length) : Math.min(MOST_ROWS, Math.max(PAGE, jobs.length));
  const query = new URLSearchParams({ limit, ...(filter && { state: filter }), ...(before && { before }) });
  let answer;
  try {
    answer = await call(`/v1/jobs?${query}`);
  } finally {
    if (mine === asked) meanwhile = null;
  }
  if (mine !== asked) return;
  complete = answer.jobs.length < limit;
  jobs = merge(before ? [...jobs, ...answer.jobs] : answer.jobs, changed.values());
  drawJobs();
}

let changes = new Map();
let flushing = null;

/** Events come in bursts; they are drawn together. */
function takeJob(job) {
  changes.set(job.id, job);
  meanwhile?.set(job.id, job);
  flushing ??= setTimeout(() => {
    flushing = null;
    const changed = changes;
    changes = new Map();
    jobs = merge(jobs, changed.values());
    drawJobs();
    if (changed.has(shown)) loadJob();
  }, 100);
}

function makeRow(job) {
  const link = element("a", { href: `#job/${encodeURIComponent(job.id)}`, dir: "auto" });
  const button = element("button", { type: "button", class: "action bad" });
  button.addEventListener("click", () => cancel(rows.get(job.id).job));
  const number = (kind) => element("td", { class: `number ${kind}` });
  const row = element("tr", {},
    element("td", {}, element("span", { class: "word" })),
    element("td", {}, link, element("span", { class: "under" }, element("span", { class: "narrow" }), element("bdi"))),
    number(""), number("wide"), element("td", { class: "do" }, button));
  rows.set(job.id, { row, job });
  return row;
}

function updateRow(entry, job) {
  entry.job = job;
  const { row } = entry;
  row.dataset.state = job.state;
  say($(".word", row), job.state);
  const link = $("a", row);
  say(link, job.name || job.id);
  link.title = job.name;
  if (job.id === shown) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
  const tries = job.attempt === 1 ? "1 try" : `${job.attempt} tries`;
  say($(".narrow", row), `${job.state} · `);
  say($("bdi", row), [job.tenant, tries, job.state === "failed" && job.failure?.message].filter(Boolean).join(" · "));
  $(".under", row).title = $("bdi", row).textContent;
  const button = $("button", row);
  button.hidden = ended(job);
  button.disabled = cancelling.has(job.id);
  say(button, button.disabled ? "Asked" : "Cancel");
  button.setAttribute("aria-label", `Cancel ${job.name}`);
  if (ended(job)) cancelling.delete(job.id);
  tickRow(entry);
}

function tickRow({ row, job }) {
  say(row.cells[2], age(since(job.created_at)));
  say(row.cells[3], job.ended_at ? time(took(job)) : age(took(job)));
}

function drawJobs() {
  const body = $("#rows");
  const wanted = new Set(jobs.map((job) => job.id));
  for (const [id, { row }] of rows) {
    if (wanted.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  // Rows that are in their place stay untouched, and keep the focus.
  let at = body.firstChild;
  for (const job of jobs) {
    const row = rows.get(job.id)?.row ?? makeRow(job);
    if (row === at) at = at.nextSibling;
    else body.insertBefore(row, at);
    updateRow(rows.get(job.id), job);
  }
  $("#empty").hidden = jobs.length > 0;
  say($("#empty"), filter ? `No job is ${filter}.` : "No jobs yet. What you run appears here.");
  const full = jobs.length >= MOST_ROWS;
  $("#older button").hidden = complete || full || !jobs.length;
  $("#older span").hidden = complete || !full;
  say($("#older span"), `The ${MOST_ROWS} newest are shown. A filter shows others; the API lists all.`);
}

async function cancel(job) {
  const yes = await ask("Cancel this job?", job.name, "Cancel the job", "Let it go on");
  if (!yes) return;
  cancelling.add(job.id);
  drawJobs();
  try {
    takeJob(summary(await post(`/v1/jobs/${encodeURIComponent(job.id)}/cancel`)));
    if (job.id === shown) loadJob();
  } catch (error) {
    cancelling.delete(job.id);
    drawJobs();
    await ask("It was not cancelled", error.message, null, "Close");
  }
}

/** A job without what only its own page shows. */
function summary({ flow, inputs, report, ...job }) {
  return job;
}

// ---- one job

let shown = null;
let job = null;
/** What each part of the page was drawn of: it is drawn again only if that changed. */
let drawn = new Map();

function slot(name, data, build) {
  const text = JSON.stringify(data) ?? "";
  if (drawn.get(name) === text) return;
  drawn.set(name, text);
  const nothing = data === null || data === undefined || data?.length === 0;
  $(`[data-slot="${name}"]`).replaceChildren(...(nothing ? [] : build(data)));
}

/** A list of any length, MOST_ROWS at a time. */
function paged(items, draw, first = 0) {
  const root = element("div");
  const show = (start) => {
    const end = Math.min(items.length, start + MOST_ROWS);
    const parts = [draw(items.slice(start, end), start)];
    if (items.length > MOST_ROWS) {
      const button = (label, to, able) => {
        const made = element("button", { type: "button", class: "action" }, label);
        made.disabled = !able;
        made.addEventListener("click", () => show(to));
        return made;
      };
      const place = `${start + 1} to ${end} of ${items.length}`;
      parts.push(element("p", { class: "pager" }, button("‹ Before", start - MOST_ROWS, start > 0), place, button("Next ›", end, end < items.length)));
    }
    root.replaceChildren(...parts);
  };
  show(first - (first % MOST_ROWS));
  return root;
}

let looks = 0;

async function loadJob() {
  const id = shown;
  const mine = ++looks;
  if (!id) return;
  try {
    const answer = await call(`/v1/jobs/${encodeURIComponent(id)}`);
    if (mine === looks) drawJob(answer);
  } catch (error) {
    if (mine !== looks || (job && error.status !== 404)) return;
    say($("#job-title"), error.status === 404 ? "There is no such job" : "The job could not be read");
    say($("#job-state"), error.message);
  }
}

function drawJob(answer) {
  job = answer;
  const report = job.report;
  say($("#job-title"), job.name);
  tickJob();
  const asked = job.cancel_asked && !ended(job);
  $("#again").hidden = !job.flow;
  $("#cancel").hidden = ended(job);
  $("#cancel").disabled = asked;
  say($("#cancel"), asked ? "Cancel asked for" : "Cancel");
  const told = [
    ["Job", job.id], ["Tenant", job.tenant], ["Tries", String(job.attempt)], ["Created", clock(job.created_at)],
    ["Started", clock(job.started_at)], ["Ended", clock(job.ended_at)], ["Next try", ended(job) ? null : clock(job.next_try_at)],
    ["Steps taken", report ? String(report.steps_taken) : null], ["Run took", report ? time(milliseconds(report.took)) : null],
  ];
  slot("about", told.filter(([, value]) => value), (list) => list.flatMap(([name, value]) => [element("dt", {}, name), element("dd", { dir: "auto" }, value)]));
  slot("failure", job.failure ?? report?.failure, ({ step, class: kind, message }) => [
    element("div", { class: "failure" },
      element("b", {}, `Failed: ${kind.replaceAll("_", " ")}`), ...(step ? [" at ", element("code", {}, step)] : []),
      element("pre", { dir: "auto", tabindex: "0" }, cut(message))),
  ]);
  const files = report?.artifacts ?? [];
  const isPicture = (file) => /^image\/(png|jpeg|webp|gif)$/.test(file.media_type);
  slot("pictures", files.filter(isPicture), pictures);
  slot("results", Object.entries(report?.results ?? {}), results);
  slot("files", files.filter((file) => !isPicture(file)), otherFiles);
  slot("steps", report?.steps, (list) => steps(list, report.steps_taken));
  slot("dialogs", report?.dialogs, (list) => texts("Dialogs of pages", list));
  slot("refused", report?.refused, (list) => texts("Requests that were refused", list));
  const inputs = Object.keys(job.inputs ?? {}).length ? job.inputs : null;
  slot("inputs", inputs, (value) => folded("Inputs", JSON.stringify(value, null, 2)));
  slot("flow", job.flow, (value) => folded("Workflow", typeof value === "string" ? value : yaml(value).trimStart()));
}

function tickJob() {
  if (!job || job.id !== shown) return;
  const line = $("#job-state");
  line.dataset.state = job.state;
  if (!$(".word", line)) line.replaceChildren(element("span", { class: "word" }), element("span"));
  say($(".word", line), job.state);
  const next = job.state === "waiting" && job.next_try_at ? -since(job.next_try_at) : 0;
  const more = { running: ` for ${age(took(job))}; what comes of it is shown here when it ends`, waiting: next > 0 ? `, to be tried again in ${age(next)}` : ` for ${age(since(job.created_at))}` };
  say(line.lastChild, more[job.state] ?? (job.started_at ? ` after ${time(took(job))}` : ""));
}

const artifact = (file) => `/v1/jobs/${encodeURIComponent(shown)}/artifacts/${encodeURIComponent(file.name)}`;
/** What was fetched with the key for the job that is shown, as addresses of this page's own. */
let fetched = [];
const GONE = "No longer kept: the space for files was needed.";

async function whyNot(url) {
  try {
    const stop = new AbortController();
    await answer(url, { signal: stop.signal });
    stop.abort();
    return null;
  } catch (error) {
    return error.status === 410 ? GONE : error.message;
  }
}

/** The content of a file, as an address: an image or a link cannot show the key. */
async function contentOf(url, signal) {
  const address = URL.createObjectURL(await (await answer(url, signal && { signal })).blob());
  fetched.push(address);
  return address;
}

/** Shows a picture that needs the key, once it is near to being seen. */
function showWithKey(image, link, url) {
  const watch = new IntersectionObserver(async ([{ isIntersecting }]) => {
    if (!isIntersecting) return;
    watch.disconnect();
    try {
      link.href = image.src = await contentOf(url);
    } catch (error) {
      link.replaceWith(element("span", { class: "gone" }, error.status === 410 ? GONE : error.message));
    }
  }, { rootMargin: "400px" });
  watch.observe(link);
}

function pictures(list) {
  const one = (file) => {
    const url = artifact(file);
    if (apiKey) {
      const image = element("img", { alt: `Screenshot ${file.name}`, decoding: "async" });
      const link = element("a", { target: "_blank", rel: "noopener" }, image);
      showWithKey(image, link, url);
      return element("li", {}, link, element("span", { class: "under", dir: "auto" }, `${file.name}, ${bytes(file.bytes)}`));
    }
    const image = element("img", { src: url, alt: `Screenshot ${file.name}`, loading: "lazy", decoding: "async" });
    const link = element("a", { href: url, target: "_blank", rel: "noopener" }, image);
    image.addEventListener("error", async () => link.replaceWith(element("span", { class: "gone" }, (await whyNot(url)) ?? "It cannot be shown.")));
    return element("li", {}, link, element("span", { class: "under", dir: "auto" }, `${file.name}, ${bytes(file.bytes)}`));
  };
  const draw = (part) => element("ul", { class: "pictures" }, ...part.map(one));
  return [element("h3", {}, `Pictures (${list.length})`), paged(list, draw)];
}

/** A link to a file that may be gone, which is said before another page is opened in vain. */
function fileLink(file) {
  const url = artifact(file);
  const shows = file.media_type === "application/pdf";
  const link = element("a", { href: url, dir: "auto", ...(shows ? { target: "_blank", rel: "noopener" } : { download: file.name }) }, file.name);
  let checked = false;
  link.addEventListener("click", async (event) => {
    if (checked || (!apiKey && (event.ctrlKey || event.metaKey || event.shiftKey))) {
      checked = false;
      return;
    }
    event.preventDefault();
    if (apiKey) {
      try {
        // Not shown: what a page gave would be content of this page's own address.
        element("a", { href: await contentOf(url), download: file.name }).click();
      } catch (error) {
        link.replaceWith(element("span", {}, file.name, element("span", { class: "problem" }, ` ${error.status === 410 ? GONE : error.message}`)));
      }
      return;
    }
    const problem = await whyNot(url);
    if (problem) return link.replaceWith(element("span", {}, file.name, element("span", { class: "problem" }, ` ${problem}`)));
    checked = true;
    link.click();
  });
  return link;
}

function otherFiles(list) {
  const row = (file) => element("tr", {}, element("td", {}, fileLink(file)), element("td", { class: "wide" }, file.media_type), element("td", { class: "number bytes" }, bytes(file.bytes)));
  const head = element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Name"), element("th", { scope: "col", class: "kind wide" }, "Kind"), element("th", { scope: "col", class: "number size" }, "Size")));
  const draw = (part) => element("table", {}, head.cloneNode(true), element("tbody", {}, ...part.map(row)));
  return [element("h3", {}, `Files (${list.length})`), element("div", { class: "files" }, paged(list, draw))];
}

function results(list) {
  const one = ([name, value]) => [
    element("p", { class: "name" }, name, Array.isArray(value) ? ` (${value.length})` : ""),
    element("pre", { class: "block", tabindex: "0", dir: typeof value === "string" ? "auto" : "ltr" }, cut(typeof value === "string" ? value : JSON.stringify(value, null, 2))),
  ];
  const draw = (part) => element("div", {}, ...part.flatMap(one));
  return [element("h3", {}, "Results"), paged(list, draw)];
}

function steps(list, taken) {
  const row = (step, number) => element("tr", { "data-state": step.outcome },
    element("td", { class: "number place" }, String(number)),
    element("td", {}, element("b", {}, step.action), element("bdi", {}, step.name ?? ""), element("span", { class: "under" }, step.path),
      step.message ? element("span", { class: step.outcome === "failed" ? "said problem" : "said hint", dir: "auto" }, cut(step.message)) : null),
    element("td", {}, element("span", { class: "word" }, step.outcome)),
    element("td", { class: "number" }, time(milliseconds(step.took))));
  const head = element("thead", {}, element("tr", {}, element("th", { scope: "col", class: "number place" }, "#"), element("th", { scope: "col" }, "Step"), element("th", { scope: "col", class: "outcome" }, "Outcome"), element("th", { scope: "col", class: "number took" }, "Took")));
  const draw = (part, start) => element("table", {}, head.cloneNode(true), element("tbody", {}, ...part.map((step, i) => row(step, start + i + 1))));
  const failed = list.findIndex((step) => step.outcome === "failed");
  const title = taken > list.length ? `Steps (the first ${list.length} of ${taken})` : `Steps (${list.length})`;
  return [element("h3", {}, title), element("div", { class: "steps" }, paged(list, draw, Math.max(0, failed)))];
}

function texts(title, list) {
  const draw = (part) => element("ul", { class: "list" }, ...part.map((text) => element("li", { dir: "auto" }, cut(text))));
  return [element("h3", {}, `${title} (${list.length})`), paged(list, draw)];
}

function folded(title, text) {
  return [element("details", {}, element("summary", {}, title), element("pre", { class: "block flow-text", tabindex: "0" }, cut(text)))];
}

// ---- which part is shown

function route() {
  const [, id] = /^#job\/(.+)$/.exec(location.hash) ?? [];
  const before = shown;
  try {
    shown = id ? decodeURIComponent(id) : null;
  } catch {
    shown = null;
  }
  document.body.dataset.view = shown ? "job" : location.hash === "#run" ? "run" : "home";
  $("#job").hidden = !shown;
  drawJobs();
  if (shown && shown !== before) {
    job = null;
    drawn = new Map();
    for (const address of fetched.splice(0)) URL.revokeObjectURL(address);
    for (const part of document.querySelectorAll("[data-slot]")) part.replaceChildren();
    for (const button of ["#again", "#cancel"]) $(button).hidden = true;
    say($("#job-title"), jobs.find((other) => other.id === shown)?.name ?? "…");
    $("#job-state").textContent = "";
    loadJob();
    $("#job-title").focus({ preventScroll: true });
    if (matchMedia("(max-width: 1060px)").matches) scrollTo(0, 0);
    else $("#job").scrollIntoView({ block: "nearest" });
  }
  if (document.body.dataset.view === "run") $("#command").focus();
}

// ---- workflows as text

const isPlain = (text) => /^[A-Za-z][\w ./-]*(?<! )$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text);
// What YAML does not print stands escaped.
const quote = (text) => JSON.stringify(text).replace(/[\x7f-\x9f\u2028\u2029\ufeff]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
const scalar = (value) => (typeof value === "string" ? (isPlain(value) ? value : quote(value)) : JSON.stringify(value));

/** A value as YAML; what has members begins with a line's end. */
function yaml(value, indent = "") {
  if (value === null || typeof value !== "object" || Object.keys(value).length === 0) return scalar(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) return value.map((item) => `\n${indent}- ${yaml(item, inner).trimStart()}`).join("");
  return Object.entries(value).map(([key, member]) => {
    const text = yaml(member, inner);
    return `\n${indent}${scalar(key)}:${text.startsWith("\n") ? text : ` ${text}`}`;
  }).join("");
}

/** A list of steps for people. */
function stepList(list) {
  const one = (step) => {
    const { name, within, optional, retries, ...action } = step;
    const [[key, value] = ["?", ""]] = Object.entries(action);
    const item = element("li", {}, element("b", {}, key));
    if (value === null || typeof value !== "object") item.append(element("bdi", {}, String(value)));
    else {
      const { steps: inner, ...fields } = value;
      const text = Object.entries(fields).filter(([, field]) => field !== false)
        .map(([field, is]) => `${field} ${typeof is === "string" ? is : JSON.stringify(is)}`).join(", ");
      item.append(element("bdi", {}, text));
      if (Array.isArray(inner)) item.append(stepList(inner));
    }
    const extra = [name && `“${name}”`, within && `within ${within}`, optional && "optional", retries && `${retries} retries`].filter(Boolean);
    if (extra.length) item.append(element("span", { class: "hint" }, ` (${extra.join(", ")})`));
    return item;
  };
  const made = element("ol", {}, ...list.slice(0, MOST_ROWS).map(one));
  if (list.length > MOST_ROWS) made.append(element("li", { class: "hint" }, `and ${list.length - MOST_ROWS} more`));
  return made;
}

// ---- run: in plain words

let previewing = 0;
const hint = (text) => element("p", { class: "hint" }, text);

$("#command").addEventListener("input", () => {
  previewing++;
  $("#preview").replaceChildren(hint("The steps that this comes to are shown here before anything is run."));
});

$("#command-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = $("#command").value.trim();
  const mine = ++previewing;
  const show = (...parts) => mine === previewing && $("#preview").replaceChildren(...parts);
  if (!text) return show(hint("Say what is to be done, such as: open https://example.com then take a screenshot"));
  show(hint("Looking …"));
  try {
    // A model may take its time.
    const made = await post("/v1/commands", { text }, tenant(), 90_000);
    show(...preview(made));
  } catch (error) {
    show(element("p", { class: "problem" }, error.message));
  }
});

function preview({ flow, source, tokens, cost_micros, model }) {
  const parsed = typeof flow === "string" ? null : flow;
  const list = parsed ? stepList(parsed.steps ?? []) : element("pre", { class: "block flow-text", tabindex: "0" }, cut(flow));
  const by = { grammar: "Read by the grammar; no model was asked.", cache: "Known from before; no model was asked." };
  const spent = () => `Written by ${model ?? "a model"}: ${tokens.prompt} tokens asked (${tokens.after} of ${tokens.before} for the page), ${tokens.completion} answered, cost ${(cost_micros / 1e6).toFixed(6)}. Look at it before you run it.`;
  const run = element("button", { type: "button", class: "action strong" }, "Run these steps");
  run.addEventListener("click", () => start(run, { flow }, (error) => $("#preview").append(element("p", { class: "problem" }, error.message))));
  const edit = element("button", { type: "button", class: "action" }, "Edit as a workflow");
  edit.addEventListener("click", () => setFlow(parsed ? `${yaml(parsed).trimStart()}\n` : flow));
  return [list, hint(by[source] ?? spent()), element("div", { class: "line" }, run, edit)];
}

// ---- run: a workflow

const flow = $("#flow");
/** The text as the page put it there; what differs from it is somebody's work. */
let given = "";

/** A key says itself whose it is. */
const tenant = () => (!apiKey && $("#tenant").value.trim() ? { "x-tenant": $("#tenant").value.trim() } : {});

async function setFlow(text, inputs) {
  const typed = flow.value.trim() && flow.value !== given;
  if (typed && flow.value !== text && !(await ask("Replace the workflow?", "What you wrote into the field would be lost.", "Replace it", "Keep mine"))) return false;
  flow.value = given = text;
  $("#inputs").value = inputs && Object.keys(inputs).length ? JSON.stringify(inputs, null, 2) : "";
  unmark();
  flow.scrollTop = 0;
  flow.focus({ preventScroll: true });
  flow.setSelectionRange(0, 0);
  $("#editor").scrollIntoView({ block: "nearest" });
  return true;
}

function number() {
  const lines = flow.value.split("\n").length;
  const gutter = $("#gutter");
  if (gutter.dataset.lines === String(lines)) return;
  gutter.dataset.lines = lines;
  gutter.textContent = Array.from({ length: lines }, (_, i) => i + 1).join("\n");
}

function unmark() {
  number();
  $("#marks div").replaceChildren();
  flow.removeAttribute("aria-invalid");
  $("#verdict").replaceChildren(hint("Nothing is run by checking."));
}

/** Shows errors beside their lines, and as a list that leads there. */
function mark(error) {
  const { errors } = error;
  const lines = flow.value.split("\n");
  const byLine = new Map();
  for (const { line, path, problem } of errors) if (line) byLine.set(line, [...(byLine.get(line) ?? []), `${path}: ${problem}`]);
  $("#marks div").replaceChildren(...[...byLine].map(([line, problems]) => {
    const made = element("p", {}, element("i", {}, lines[line - 1] ?? ""), `◂ ${problems.join("; ")}`);
    made.style.top = `${(line - 1) * 1.5}em`;
    return made;
  }));
  flow.setAttribute("aria-invalid", "true");
  if (!errors.length) return $("#verdict").replaceChildren(element("p", { class: "problem" }, error.message));
  const list = errors.slice(0, MOST_ROWS).map(({ line, path, problem }) => {
    const button = element("button", { type: "button" }, ...(line ? [element("b", {}, `line ${line}`), " "] : []), `${path ? `${path}: ` : ""}${problem}`);
    button.addEventListener("click", () => {
      if (!line && path?.startsWith("inputs")) return $("#inputs").focus();
      flow.focus();
      const start = lines.slice(0, (line ?? 1) - 1).reduce((sum, text) => sum + text.length + 1, 0);
      flow.setSelectionRange(start, start + (lines[(line ?? 1) - 1]?.length ?? 0));
      flow.scrollTop = Math.max(0, ((line ?? 1) - 4) * parseFloat(getComputedStyle(flow).lineHeight));
    });
    return element("li", {}, button);
  });
  if (error.more) list.push(element("li", { class: "hint" }, `and ${error.more} more`));
  $("#verdict").replaceChildren(element("ul", {}, ...list));
}

function follow() {
  $("#gutter").scrollTop = flow.scrollTop;
  $("#marks div").style.transform = `translate(${-flow.scrollLeft}px, ${-flow.scrollTop}px)`;
}
flow.addEventListener("scroll", follow);
flow.addEventListener("input", unmark);

$("#check").addEventListener("click", async () => {
  const text = flow.value;
  if (!text.trim()) return $("#verdict").replaceChildren(hint("There is nothing to check yet; write a workflow or start from an example."));
  try {
    const { name, steps: count, digest } = await post("/v1/flows/check", { flow: text });
    if (text !== flow.value) return;
    unmark();
    const many = Array.isArray(count) ? count.length : count;
    $("#verdict").replaceChildren(element("p", { class: "fine" }, `✓ “${name}” is in order: ${many} ${many === 1 ? "step" : "steps"}, digest ${String(digest).slice(0, 12)}`));
  } catch (error) {
    if (text === flow.value) mark(error);
  }
});

/** Hands a job in; the button is off meanwhile, so that it is handed in once. */
async function start(button, body, complain, headers = tenant()) {
  button.disabled = true;
  try {
    const made = await post("/v1/jobs", body, headers);
    takeJob(summary(made));
    location.hash = `job/${encodeURIComponent(made.id)}`;
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

$("#flow-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const complain = (text) => $("#verdict").replaceChildren(element("p", { class: "problem" }, text));
  if (!flow.value.trim()) return complain("There is no workflow yet; write one or start from an example.");
  let inputs;
  try {
    inputs = $("#inputs").value.trim() ? JSON.parse($("#inputs").value) : undefined;
    if (inputs !== undefined && (inputs === null || typeof inputs !== "object" || Array.isArray(inputs))) throw new Error("they are not a map");
  } catch (error) {
    $("#inputs").focus();
    return complain(`The inputs are not JSON such as { "word": "ocean" }: ${error.message}`);
  }
  const key = $("#key").value.trim();
  unmark();
  start(event.submitter ?? $("#flow-form [type=submit]"), { flow: flow.value, ...(inputs && { inputs }), ...(key && { key }) }, mark);
});

for (const name of Object.keys(EXAMPLES)) $("#examples").append(element("option", {}, name));
$("#examples").addEventListener("change", (event) => {
  const name = event.target.value;
  event.target.selectedIndex = 0;
  if (name) setFlow(EXAMPLES[name], EXAMPLE_INPUTS[name]);
});

$("#again").addEventListener("click", async () => {
  const { flow: text, inputs } = job;
  if (await setFlow(typeof text === "string" ? text : `${yaml(text).trimStart()}\n`, inputs)) {
    location.hash = "run";
  }
});
$("#cancel").addEventListener("click", () => cancel(job));

// ---- live

/** Without a word for so long the connection is dead; the service says something every 15 seconds. */
const SILENCE = 60_000;
let wait = 1_000;
let lostAt = null;
let polling = null;

function link(state) {
  document.body.dataset.link = state;
  const when = lostAt?.toLocaleTimeString();
  const words = { connecting: "Connecting", live: "Live", polling: "No live events; asking every 5 seconds", lost: `Connection lost at ${when}`, locked: "Not signed in" };
  say($("#link"), words[state]);
  $("#lost").hidden = state !== "lost";
  say($("#lost"), state === "lost" ? `Connection lost at ${when}. What is shown is from then; trying again every few seconds.` : "");
}

let loading = null;
let again = false;

/** Reads everything anew; calls while that goes on are answered by one more round. */
function reload() {
  if (loading) {
    again = true;
    return loading;
  }
  loading = (async () => {
    do {
      again = false;
      await Promise.all([call("/v1/pool").then(takePool), loadJobs(), loadJob()]);
      if (again) await new Promise((resolve) => setTimeout(resolve, 500));
    } while (again);
  })().finally(() => (loading = null));
  return loading;
}

async function poll() {
  try {
    await reload();
    if (!polling) return;
    lostAt = null;
    link("polling");
  } catch {
    if (polling) silence();
  }
}

/** Nothing is heard: the time line has a gap from here. */
function silence() {
  lostAt ??= new Date();
  if (history.at(-1)?.length > 1) history.push([Date.now()]);
  link("lost");
}

const takers = { job: takeJob, pool: takePool, lagged: () => reload().catch(() => {}) };

function take(name, data) {
  try {
    takers[name]?.(JSON.parse(data));
  } catch {
    reload().catch(() => {});
  }
}

function opened() {
  wait = 1_000;
  lostAt = null;
  clearInterval(polling);
  polling = null;
  link("live");
  // What happened while nobody listened.
  reload().catch((error) => say($("#empty"), error.message));
}

/** Hears events until the stream ends. By `fetch`, since an `EventSource` cannot show a key. */
async function listen() {
  const stop = new AbortController();
  let late;
  const patience = () => {
    clearTimeout(late);
    late = setTimeout(() => stop.abort(), SILENCE);
  };
  try {
    const response = await answer("/v1/events", { signal: stop.signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    opened();
    let [rest, name, data] = ["", "", ""];
    for (;;) {
      patience();
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("event:")) name = line.slice(6).trim();
        else if (line.startsWith("data:")) data += line.slice(5).trim();
        else if (line === "") {
          if (name) take(name, data);
          [name, data] = ["", ""];
        }
      }
    }
  } finally {
    clearTimeout(late);
    stop.abort();
  }
}

async function connect() {
  const began = Date.now();
  try {
    await listen();
    // A stream that a key opened ends now and then, so that the key is looked at again.
    if (Date.now() - began > SILENCE) return setTimeout(connect, 0);
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      clearInterval(polling);
      polling = null;
      link("locked");
      return say($("#empty"), error.status === 401 ? "Enter the API key to see jobs." : error.message);
    }
  }
  if (!polling) {
    polling = setInterval(poll, 5_000);
    poll();
  }
  setTimeout(connect, wait * (0.75 + Math.random() / 2));
  wait = Math.min(15_000, wait * 2);
}

$("#key-button").addEventListener("click", async () => {
  if (apiKey) {
    sessionStorage.removeItem(KEPT_KEY);
    return location.reload();
  }
  if (await askKey("")) connect();
});

$("#filters").addEventListener("change", (event) => {
  filter = event.target.value;
  jobs = [];
  complete = false;
  $("#jobs .scroll").scrollTop = 0;
  loadJobs().catch((error) => {
    drawJobs();
    say($("#empty"), error.message);
  });
});
$("#older button").addEventListener("click", () => loadJobs(jobs.at(-1)?.id).catch(() => {}));
addEventListener("hashchange", route);
document.addEventListener("visibilitychange", () => document.hidden || tick());

function tick() {
  if (document.hidden) return;
  for (const entry of rows.values()) tickRow(entry);
  tickJob();
  if (document.body.dataset.link === "lost") return;
  drawPool();
  drawTimeline();
}
setInterval(tick, 1_000);

if (!flow.value) flow.value = given = EXAMPLES["search a site"];
number();
drawKey();
route();
say($("#empty"), "Loading …");
connect();
