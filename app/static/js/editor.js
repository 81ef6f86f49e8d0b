// The message editor in the browser: opening blocks, the palette, keys, dragging, fields put into texts, and the
// preview; draft.js keeps what it does.
"use strict";

const adder = document.getElementById("adder");
const frame = document.getElementById("look-frame");
const stops = () => [...document.querySelectorAll("[data-stop]")];
const blockOf = (element) => element?.closest("[data-block]");
const standing = (block) => ({ in: block.dataset.in, number: block.dataset.block });

// ----------------------------------------------------------------------------------------- opening a block
async function open(query) {
  flush();
  await sent;
  history.replaceState(null, "", `?${query}`);
  await htmx.ajax("GET", `${base}/panel?${query}`, { target: "#panel", swap: "outerHTML" });
  mark(query.get("in"), query.get("block"));
  const named = query.get("field");
  const first = named ? document.getElementById(`f-${named}`) : document.querySelector("#panel #fields :is(textarea, input:not([type=hidden]), select)");
  if (first && (named || open.enters)) first.focus();
  open.enters = false;
  if (matchMedia("(max-width: 62rem)").matches && query.get("block")) document.getElementById("panel").scrollIntoView({ block: "start" });
}

function mark(tongue, number) {
  for (const block of document.querySelectorAll(".mblock.is-on")) block.classList.remove("is-on");
  for (const stop of document.querySelectorAll("[data-stop][aria-current]")) stop.removeAttribute("aria-current");
  const block = document.getElementById(`block-${tongue}-${number}`);
  if (!block) return;
  block.classList.add("is-on");
  block.querySelector("[data-stop]").setAttribute("aria-current", "true");
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-open]");
  if (link && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const back = link.closest("[data-shuts]") && `#block-${["in", "block"].map((name) => document.querySelector(`#fields [name=${name}]`).value).join("-")} [data-stop]`;
    open.enters = !back && event.detail === 0;
    open(new URL(link.href).searchParams).then(() => back && document.querySelector(back)?.focus());
    return;
  }
  const field = event.target.closest("[data-insert]");
  if (field) return insert(field.dataset.insert);
  const look = event.target.closest("[data-look], [data-dark]");
  if (look) return see(look);
  if (adder && !adder.contains(event.target)) put();
  const block = blockOf(event.target);
  if (block && !event.target.closest("a, button, form")) block.querySelector("[data-stop]").click();
});

document.addEventListener("block-focus", (event) => {
  const number = event.detail.value;
  const query = new URLSearchParams({ ...carried, in: document.querySelector("#fields [name=in]").value, block: number });
  history.replaceState(null, "", `?${query}`);
  const stop = document.querySelector(`#block-${query.get("in")}-${number} [data-stop]`);
  if (stop && !document.activeElement?.closest("#fields, .med-env")) stop.focus();
});

// ------------------------------------------------------------------------------------------ adding a block
document.addEventListener("submit", (event) => {
  if (event.target.id !== "palette" && event.target !== adder) return;
  event.preventDefault();
  const at = event.target.querySelector("[name=at]").value;
  put()?.focus();
  send("add", { kind: event.submitter.value, at, in: document.querySelector("#fields [name=in]").value });
});

function choose(stop) {
  const block = blockOf(stop);
  adder.querySelector("[name=at]").value = Number(block.dataset.block) + 1;
  adder.dataset.placed = "1";
  adder.hidden = false;
  block.append(adder);
  adder.querySelector("button").focus();
}

function put() {
  if (!adder || adder.hidden) return;
  const stop = blockOf(adder)?.querySelector("[data-stop]");
  adder.hidden = true;
  desk.after(adder);
  return stop;
}

if (adder) stays(adder, () => `#${adder.parentElement.id} [data-stop]`);

adder?.addEventListener("keydown", (event) => {
  const buttons = [...adder.querySelectorAll("button")];
  const here = buttons.indexOf(document.activeElement);
  const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (way) buttons[(here + way + buttons.length) % buttons.length].focus();
  else if (event.key === "Escape") put()?.focus();
  else {
    const named = buttons.find((button) => button.dataset.key === event.key.toLowerCase());
    if (!named || event.ctrlKey || event.metaKey || event.altKey) return;
    named.click();
  }
  event.preventDefault();
  event.stopPropagation();
});

// ------------------------------------------------------------------------------------------------ keys
let copied = null;

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select, dialog[open]");
  if ((event.ctrlKey || event.metaKey) && !typing && event.key.toLowerCase() === "z") {
    event.preventDefault();
    document.querySelector(`[data-act=${event.shiftKey ? "redo" : "undo"}]:not([disabled])`)?.click();
    return;
  }
  if (event.key === "Enter" && event.target.matches("[data-line]")) return event.preventDefault();
  const stop = event.target.closest("[data-stop]");
  if (!typing && stop && !event.ctrlKey && !event.metaKey && press(event, stop)) event.preventDefault();
});

function press(event, stop) {
  const block = blockOf(stop);
  const here = Number(block.dataset.block);
  if (event.altKey) {
    const at = { ArrowUp: here - 1, ArrowDown: here + 2 }[event.key];
    return at !== undefined && may ? (at >= 0 && send("move", { ...standing(block), at }), true) : false;
  }
  if (event.key === "ArrowDown" || event.key === "ArrowUp") return step(stop, event.key === "ArrowDown" ? 1 : -1);
  if (!may) return false;
  const key = event.key.toLowerCase();
  if (key === "a") return choose(stop), true;
  if (key === "c") return (copied = standing(block)), say(quote("copied")), true;
  if (key === "v" && copied) return send("copy", { ...copied, at: here + 1 }), true;
  if (key === "delete") return send("remove", standing(block)), true;
  return false;
}

function step(stop, by) {
  const all = stops();
  all[Math.min(all.length - 1, Math.max(0, all.indexOf(stop) + by))].focus();
  return true;
}

// ---------------------------------------------------------------------------------------------- dragging
let dragged = null;

document.addEventListener("dragstart", (event) => {
  const tile = event.target.closest?.(".palette button");
  const block = event.target.closest?.(".mblock[draggable]");
  if (!tile && !block) return;
  dragged = tile ? { kind: tile.value } : standing(block);
  (tile || block).classList.add("is-dragged");
  event.dataTransfer.effectAllowed = "copyMove";
  event.dataTransfer.setData("text/plain", tile ? tile.value : block.dataset.block);
});

document.addEventListener("dragover", (event) => {
  const over = dragged && spot(event);
  for (const other of document.querySelectorAll(".is-above, .is-below")) other.classList.remove("is-above", "is-below");
  if (!over) return;
  over.block.classList.add(over.below ? "is-below" : "is-above");
  event.preventDefault();
});

document.addEventListener("drop", (event) => {
  const over = dragged && spot(event);
  if (!over) return;
  event.preventDefault();
  const at = Number(over.block.dataset.block) + (over.below ? 1 : 0);
  const values = { ...dragged, at, in: over.block.dataset.in };
  send(dragged.kind ? "add" : event.ctrlKey || event.altKey ? "copy" : "move", values);
});

document.addEventListener("dragend", () => {
  dragged = null;
  for (const one of document.querySelectorAll(".is-dragged, .is-above, .is-below")) one.classList.remove("is-dragged", "is-above", "is-below");
});

// Where it would fall: above or below the block under the pointer, and never into the mail of another language.
function spot(event) {
  const list = event.target.closest?.(".mailcanvas");
  if (!list || (dragged.in && dragged.in !== list.dataset.in)) return null;
  const block = event.target.closest(".mblock") || list.querySelector(".mblock:nth-last-child(2)");
  const { top, height } = block.getBoundingClientRect();
  return { block, below: event.clientY > top + height / 2 };
}

// ------------------------------------------------------------------------------- fields put into a text
// It is the text last written in or pointed at: on the way to the fields, Tab passes by the others.
let written = null;

for (const kind of ["focusin", "pointerdown", "keydown"]) {
  document.addEventListener(kind, (event) => {
    const passing = kind === "focusin" ? written?.isConnected : ["Tab", "Shift"].includes(event.key);
    if (!passing && event.target.matches("[data-keep] :is(textarea, input:not([type]))")) written = event.target;
  });
}

function insert(text) {
  if (!written?.isConnected) written = document.querySelector("#fields textarea, .med-env textarea");
  if (!written) return;
  const at = written.selectionStart;
  written.setRangeText(text, at, written.selectionEnd, "end");
  const hole = text.indexOf('""');
  if (hole >= 0) written.setSelectionRange(at + hole + 1, at + hole + 1);
  written.focus();
  written.dispatchEvent(new Event("input", { bubbles: true }));
}

// ------------------------------------------------------------------------------------------- how it looks
function see(button) {
  const pressed = button.getAttribute("aria-pressed") === "true";
  if (button.matches("[data-dark]")) button.setAttribute("aria-pressed", String(!pressed));
  else for (const one of document.querySelectorAll("[data-look]")) one.setAttribute("aria-pressed", String(one === button));
  look();
}

function look() {
  if (!frame) return;
  const chosen = document.querySelector("[data-look][aria-pressed=true]").dataset.look;
  const dark = document.querySelector("[data-dark]").getAttribute("aria-pressed") === "true";
  document.getElementById("look").className = `look look-${chosen} mt3${dark ? " is-dark" : ""}`;
  const more = new URLSearchParams({ part: chosen === "text" ? "text" : "html", look: dark ? "dark" : "light", revision: revision() });
  const address = `${frame.dataset.src}&${more}`;
  if (frame.getAttribute("src") === address) return;
  const top = frame.contentWindow?.scrollY ?? 0;
  frame.addEventListener("load", () => frame.contentWindow.scrollTo(0, top), { once: true });
  frame.setAttribute("src", address);
}

// How long a text is, as the checks count it; marked where telephones cut it off.
function count() {
  for (const said of document.querySelectorAll("[data-count]")) {
    const text = document.getElementById(said.dataset.count).value;
    const oneWay = text.replace(/\{%-?\s*else\s*-?%\}[^]*?(?=\{%-?\s*endif)/g, "");
    const letters = oneWay.replace(/\{%.*?%\}/g, "").replace(/\{\{.*?\}\}/g, "xxxxxxxx").trim().length;
    said.textContent = letters || "";
    said.classList.toggle("warn", letters > Number(said.dataset.most));
  }
}

document.addEventListener("input", count);
document.addEventListener("htmx:afterSettle", () => {
  look();
  count();
  const chosen = ["in", "block"].map((name) => document.querySelector(`#fields [name=${name}]`).value);
  for (const form of document.querySelectorAll(".med-env, #jb-bar form")) {
    ["in", "block"].forEach((name, n) => (form.elements[name].value = chosen[n]));
  }
  mark(...chosen);
});
count();
