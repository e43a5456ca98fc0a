// What the driver looks for and measures inside a page. It runs in a world of its own: the page's scripts cannot
// see or change it. The document is shared, and a page may name a field `querySelector` to hide a method of its
// form, so methods are taken from their prototypes.
(() => {
  if (globalThis.driver) return;
  const method = (type, name) => { const f = type.prototype[name]; return (self, ...args) => f.apply(self, args); };
  const getter = (type, name) => {
    const { get } = Object.getOwnPropertyDescriptor(type.prototype, name);
    return (self) => get.call(self);
  };
  const queries = new Map([Document, DocumentFragment, Element].map((type) => [type, method(type, "querySelectorAll")]));
  const query = (root, css) => {
    for (const [type, run] of queries) if (root instanceof type) return [...run(root, css)];
    return [];
  };
  const rectOf = method(Element, "getBoundingClientRect");
  const rectsOf = method(Element, "getClientRects");
  const attribute = method(Element, "getAttribute");
  const isSeen = method(Element, "checkVisibility");
  const matches = method(Element, "matches");
  const scrollTo = method(Element, "scrollIntoView");
  const send = method(EventTarget, "dispatchEvent");
  const innerText = getter(HTMLElement, "innerText");
  const textContent = getter(Node, "textContent");
  const outerHTML = getter(Element, "outerHTML");
  const shadow = getter(Element, "shadowRoot");
  const parent = getter(Node, "parentNode");
  const words = (text) => (text ?? "").replace(/\s+/g, " ").trim();
  const shown = (element) => (element instanceof HTMLElement ? innerText(element) : textContent(element));

  // The document and all open shadow trees.
  const roots = () => {
    const found = [document];
    for (let i = 0; i < found.length && found.length < 1000; i += 1) {
      for (const element of query(found[i], "*")) if (shadow(element)) found.push(shadow(element));
    }
    return found;
  };
  const everywhere = (css) => {
    const found = query(document, css);
    return found.length ? found : roots().slice(1).flatMap((root) => query(root, css));
  };

  const CONTROLS = "a, button, label, summary, option, legend, th, [role=button], [role=link], [role=tab], "
    + "[role=menuitem], [role=option], [role=checkbox], [role=radio], [role=switch], "
    + "input[type=submit], input[type=button], input[type=reset]";
  const NAMED = "[aria-label], [placeholder], [title], [alt]";
  const byText = ({ text, whole }) => {
    const holds = (value) => {
      const found = words(value).toLowerCase();
      return whole ? found === text : found.includes(text);
    };
    const label = (element) => (matches(element, "input") ? element.value : shown(element));
    const fits = (elements) => elements.filter((element) => holds(label(element)));
    const controls = fits(everywhere(CONTROLS));
    // "Send" is rather the button `Send` than the button `Send later`.
    const exact = controls.filter((element) => words(label(element)).toLowerCase() === text);
    if (exact.length) return exact;
    if (controls.length) return controls;
    const named = everywhere(NAMED).filter((element) =>
      ["aria-label", "placeholder", "title", "alt"].some((name) => holds(attribute(element, name))));
    if (named.length) return named;
    // The innermost elements with the text.
    const skip = "script, style, noscript, template, head, head *";
    const all = roots().flatMap((root) => query(root, "*"))
      .filter((element) => holds(textContent(element)) && !matches(element, skip) && holds(shown(element)));
    const outer = new Set(all.map(parent));
    return all.filter((element) => !outer.has(element));
  };
  const all = (target) => (target.css === undefined ? byText(target) : everywhere(target.css));

  const visible = (element) => {
    if (matches(element, "option, optgroup")) element = element.closest("select") ?? element;
    const rect = rectOf(element);
    return rect.width > 0 && rect.height > 0 && isSeen(element, { visibilityProperty: true });
  };
  const find = (target) => {
    const found = all(target);
    return found.find(visible) ?? found[0] ?? null;
  };
  // The field that a label belongs to, so that fields can be named by their labels.
  const field = (target) => {
    const found = find(target);
    return found instanceof HTMLLabelElement ? found.control ?? found : found;
  };
  const describe = (element) => {
    const id = attribute(element, "id");
    const classes = words(attribute(element, "class")).split(" ").filter(Boolean).slice(0, 3);
    return `<${element.localName}${id ? `#${id}` : ""}${classes.map((name) => `.${name}`).join("")}>`.slice(0, 100);
  };
  const nextFrame = () => new Promise((done) => { requestAnimationFrame(done); setTimeout(done, 100); });

  // The part of an element that the window shows.
  const box = (element) => {
    const boxes = [...rectsOf(element)].filter((rect) => rect.width > 0 && rect.height > 0);
    const rect = boxes.length > 1 ? boxes[0] : rectOf(element);
    const left = Math.max(rect.left, 0);
    const top = Math.max(rect.top, 0);
    return { left, top, right: Math.min(rect.right, innerWidth), bottom: Math.min(rect.bottom, innerHeight) };
  };
  const empty = (rect) => rect.right - rect.left < 1 || rect.bottom - rect.top < 1;
  const hitAt = (x, y) => {
    let hit = document.elementFromPoint(x, y);
    while (hit && shadow(hit)) {
      const inner = shadow(hit).elementFromPoint(x, y);
      if (!inner || inner === hit) break;
      hit = inner;
    }
    return hit;
  };
  const isWithin = (element, outer) => {
    for (let at = element; at; at = at instanceof ShadowRoot ? at.host : parent(at)) if (at === outer) return true;
    return false;
  };
  const disabled = (element) => matches(element, ":disabled") || attribute(element, "aria-disabled") === "true";

  // Where to click an element: a point at which the mouse hits it.
  const aimAt = async (element) => {
    if (!element) return { problem: "missing" };
    if (!visible(element)) return { problem: "is not visible" };
    if (disabled(element)) return { problem: "is disabled" };
    const whole = rectOf(element);
    const seen = box(element);
    if (whole.top < 0 || whole.left < 0 || whole.bottom > innerHeight || whole.right > innerWidth || empty(seen)) {
      scrollTo(element, { block: "center", inline: "center", behavior: "instant" });
    }
    const before = rectOf(element);
    await nextFrame();
    const after = rectOf(element);
    if (before.left !== after.left || before.top !== after.top) return { problem: "is moving" };
    const rect = box(element);
    if (empty(rect)) return { problem: "cannot be scrolled into view" };
    const x = (rect.left + rect.right) / 2;
    const y = (rect.top + rect.bottom) / 2;
    const hit = hitAt(x, y);
    if (!hit) return { problem: "cannot be scrolled into view" };
    // A label stands for its field.
    const label = hit.closest?.("label");
    if (isWithin(hit, element) || (label && label.control === element)) return { x, y };
    return { problem: `is covered by ${describe(hit)}` };
  };

  const changed = (element) => {
    send(element, new Event("input", { bubbles: true, composed: true }));
    send(element, new Event("change", { bubbles: true }));
  };
  const setValue = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  const PICKED = ["date", "time", "datetime-local", "month", "week", "color", "range"];
  const UNWRITTEN = ["checkbox", "radio", "file", "submit", "button", "reset", "image", "hidden"];

  const table = (element) => {
    const found = element instanceof HTMLTableElement ? element : query(element, "table")[0];
    if (!found) return null;
    return [...found.rows].map((row) => [...row.cells].map((cell) => words(shown(cell))));
  };
  const valueOf = (element) => {
    if (matches(element, "input[type=checkbox], input[type=radio]")) return element.checked;
    return matches(element, "input, select, textarea, button, option") ? element.value : shown(element);
  };

  globalThis.driver = {
    find,
    field,
    aim: (target) => aimAt(find(target)),
    status: (target) => {
      const found = all(target);
      return { count: found.length, visible: found.some(visible) };
    },
    shows: (text) => words(document.body ? innerText(document.body) : "").toLowerCase().includes(text),

    // Puts the caret where typing goes, with everything selected if it is to be replaced.
    focus: (target, text, clear) => {
      const element = field(target);
      if (!element) return { problem: "missing" };
      if (!visible(element)) return { problem: "is not visible" };
      if (disabled(element)) return { problem: "is disabled" };
      if (element.readOnly) return { problem: "is read-only" };
      const isInput = element instanceof HTMLInputElement;
      const isText = isInput || element instanceof HTMLTextAreaElement;
      if (!isText && !element.isContentEditable) return { problem: "does not take text" };
      if (isInput && UNWRITTEN.includes(element.type)) return { problem: `does not take text: it is a ${element.type}` };
      scrollTo(element, { block: "nearest", inline: "nearest", behavior: "instant" });
      element.focus();
      if (isInput && PICKED.includes(element.type)) {
        setValue.call(element, text);
        if (element.value !== text) return { problem: `does not take \`${text}\` as a ${element.type}` };
        changed(element);
        return { done: true };
      }
      if (element.getRootNode().activeElement !== element) return { problem: "does not take the focus" };
      if (isText && clear) element.select();
      else if (isText) {
        // Fields for numbers and addresses have no caret that could be set.
        try { element.setSelectionRange(element.value.length, element.value.length); } catch { element.select(); }
      } else {
        const selection = getSelection();
        selection.selectAllChildren(element);
        if (!clear) selection.collapseToEnd();
      }
      return { done: false };
    },

    select: (target, value) => {
      const element = field(target);
      if (!element) return { problem: "missing" };
      if (!(element instanceof HTMLSelectElement)) return { problem: "is no list to select from" };
      if (disabled(element)) return { problem: "is disabled" };
      const options = [...element.options];
      const option = options.find((one) => one.value === value) ?? options.find((one) => words(one.label) === words(value));
      if (!option) {
        const offered = options.slice(0, 20).map((one) => words(one.label)).join(", ").slice(0, 300);
        return { problem: `has no option \`${value}\`; it offers ${offered}` };
      }
      if (option.disabled) return { problem: `has its option \`${value}\` disabled` };
      element.focus();
      if (!option.selected) {
        option.selected = true;
        changed(element);
      }
      return {};
    },

    extract: (target, what, name, most) => {
      const found = all(target);
      const first = found.find(visible) ?? found[0];
      if (!first && !["texts", "attributes", "count"].includes(what)) return { problem: "missing" };
      const read = {
        text: () => shown(first).trim(),
        html: () => outerHTML(first),
        value: () => valueOf(first instanceof HTMLLabelElement ? first.control ?? first : first),
        attribute: () => attribute(first, name),
        texts: () => found.map((element) => shown(element).trim()),
        attributes: () => found.map((element) => attribute(element, name)),
        count: () => found.length,
        table: () => table(first),
      };
      const value = read[what]();
      if (what === "table" && value === null) return { problem: "holds no table" };
      const json = JSON.stringify(value);
      return json.length > most ? { large: true } : { json };
    },

    // Where an element is in its document, for a screenshot.
    place: (target) => {
      const element = find(target);
      if (!element) return { problem: "missing" };
      if (!visible(element)) return { problem: "is not visible" };
      const rect = rectOf(element);
      return { x: rect.left + scrollX, y: rect.top + scrollY, width: rect.width, height: rect.height };
    },
    // Where a point of an inner frame is in this one.
    through: (element, x, y) => {
      if (!element.isConnected) return {};
      const rect = rectOf(element);
      const style = getComputedStyle(element);
      const inner = {
        x: rect.left + element.clientLeft + parseFloat(style.paddingLeft) + x,
        y: rect.top + element.clientTop + parseFloat(style.paddingTop) + y,
      };
      const hit = hitAt(inner.x, inner.y);
      if (hit === element) return inner;
      return { problem: hit ? `is in a frame covered by ${describe(hit)}` : "is in a frame out of view" };
    },
    about: () => ({
      title: document.title.slice(0, 1000),
      url: location.href,
      status: performance.getEntriesByType("navigation")[0]?.responseStatus ?? 0,
    }),
    // Two tasks later, what a click has set in motion has begun.
    settle: () => new Promise((done) => { setTimeout(() => setTimeout(done, 0), 0); }),
  };
})();
