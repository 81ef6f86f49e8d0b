// The journey builder in the browser: opening steps, the menu of steps, keys and dragging; draft.js keeps what it does.
"use strict";

const LOOK_EVERY = 30000;

const adder = document.getElementById("adder");
const stops = () => [...document.querySelectorAll("[data-stop]")];
const stepOf = (element) => element?.closest("[data-step]")?.dataset.step;

// ------------------------------------------------------------------------------------------ opening a step
async function open(query, entering) {
  const step = query.get("step") ?? "";
  history.replaceState(null, "", `?${query}`);
  await htmx.ajax("GET", `${base}/panel?${query}`, { target: "#panel", swap: "outerHTML" });
  mark(step);
  const field = query.get("field");
  const found = field && document.getElementById(`f-${field}`);
  const named = found || document.querySelector(`#panel [data-field^="${CSS.escape(field || " ")}"] :is(input, select, textarea)`);
  const first = named || (entering && document.querySelector("#fields :is(input:not([type=hidden]), select, textarea)"));
  if (first) first.focus();
  if (matchMedia("(max-width: 75rem)").matches) document.getElementById("panel").scrollIntoView({ block: "start" });
}

function mark(step) {
  for (const card of document.querySelectorAll(".step.is-on")) card.classList.remove("is-on");
  for (const stop of document.querySelectorAll("[data-stop][aria-current]")) stop.removeAttribute("aria-current");
  const card = document.getElementById(`step-${step}`);
  if (!card) return;
  card.classList.add("is-on");
  card.querySelector("[data-stop]").setAttribute("aria-current", "step");
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-open]");
  if (link && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    const back = link.closest("[data-shuts]") && `#step-${CSS.escape(document.querySelector("#fields [name=step]").value)} [data-stop]`;
    open(new URL(link.href).searchParams, !back && event.isTrusted && event.detail === 0).then(() => back && document.querySelector(back)?.focus());
    return;
  }
  const plus = event.target.closest(".add");
  if (plus) {
    event.preventDefault();
    choose(plus);
    return;
  }
  if (!adder.contains(event.target)) put();
  const card = event.target.closest(".step");
  if (card && !event.target.closest("a, button")) card.querySelector("[data-stop]").click();
});

// ------------------------------------------------------------------------------------------ the menu of steps
let asker = null;

function choose(plus, from = plus) {
  put();
  asker = from;
  adder.querySelector("[name=at]").value = plus.dataset.at;
  adder.querySelector("[name=revision]").value = revision();
  plus.setAttribute("aria-expanded", "true");
  adder.dataset.placed = "1";
  adder.hidden = false;
  plus.parentElement.append(adder);
  adder.querySelector("button").focus();
}

function put() {
  const plus = document.querySelector(".add[aria-expanded]");
  if (plus) plus.removeAttribute("aria-expanded");
  adder.hidden = true;
  desk.after(adder);
  return asker?.isConnected ? asker : plus;
}

stays(adder, () => `.add[data-at="${CSS.escape(adder.querySelector("[name=at]").value)}"]`);

adder.addEventListener("submit", (event) => {
  event.preventDefault();
  add(event.submitter.value);
});

function add(kind) {
  const at = adder.querySelector("[name=at]").value;
  put()?.focus();
  send("add", { kind, at });
}

adder.addEventListener("keydown", (event) => {
  const buttons = [...adder.querySelectorAll("button")];
  const here = buttons.indexOf(document.activeElement);
  const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (way) buttons[(here + way + buttons.length) % buttons.length].focus();
  else if (event.key === "Escape") put()?.focus();
  else {
    const named = buttons.find((button) => button.dataset.key === event.key.toLowerCase());
    if (!named || event.ctrlKey || event.metaKey || event.altKey) return;
    add(named.value);
  }
  event.preventDefault();
  event.stopPropagation();
});

// ------------------------------------------------------------------------------------------------ keys
let copied = null;
const SHIFTS = { ArrowUp: "up", ArrowDown: "down", ArrowRight: "in", ArrowLeft: "out" };

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog[open]");
  if ((event.ctrlKey || event.metaKey) && !typing && event.key.toLowerCase() === "z") {
    event.preventDefault();
    document.querySelector(`[data-act=${event.shiftKey ? "redo" : "undo"}]:not([disabled])`)?.click();
    return;
  }
  const plus = event.key === " " && event.target.closest(".add");
  if (plus) {
    event.preventDefault();
    return choose(plus);
  }
  const stop = event.target.closest("[data-stop]");
  if (typing || !stop || event.ctrlKey || event.metaKey) return;
  if (act(event, stop)) event.preventDefault();
});

function act(event, stop) {
  const step = stepOf(stop);
  const way = SHIFTS[event.key];
  if (event.altKey) return way && may && step ? (send("move", { step, way }), true) : false;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") return step_by(stop, event.key === "ArrowDown" ? 1 : -1);
  if (!may) return false;
  const key = event.key.toLowerCase();
  if (key === "a") return choose(behind(stop), stop), true;
  if (key === "c" && step) return (copied = step), say(quote("copied")), true;
  if (key === "v" && copied) return send("copy", { step: copied, at: step ? `after:${step}` : "head::" }), true;
  if (key === "delete" && step) return send("remove", { step }), true;
  return false;
}

function step_by(stop, by) {
  const all = stops();
  all[Math.min(all.length - 1, Math.max(0, all.indexOf(stop) + by))].focus();
  return true;
}

function behind(stop) {
  const step = stepOf(stop);
  const at = step ? `after:${step}` : "head::";
  return document.querySelector(`.add[data-at="${CSS.escape(at)}"]`) || document.querySelector(".add");
}

document.addEventListener("step-focus", (event) => {
  const step = event.detail.value;
  history.replaceState(null, "", step ? `?step=${step}` : "?step=");
  const stop = document.querySelector(`#step-${CSS.escape(step)} [data-stop]`) || stops()[0];
  if (!document.activeElement?.closest("#panel form#fields")) stop.focus();
});

// ---------------------------------------------------------------------------------------------- dragging
let dragged = null;

document.addEventListener("dragstart", (event) => {
  const card = event.target.closest?.(".step[draggable]");
  if (!card) return;
  dragged = card.dataset.step;
  card.classList.add("is-dragged");
  event.dataTransfer.effectAllowed = "copyMove";
  event.dataTransfer.setData("text/plain", dragged);
});

document.addEventListener("dragover", (event) => {
  const edge = dragged && event.target.closest?.(".edge");
  for (const other of document.querySelectorAll(".edge.is-target")) if (other !== edge) other.classList.remove("is-target");
  if (!edge) return;
  edge.classList.add("is-target");
  event.preventDefault();
});

document.addEventListener("drop", (event) => {
  const plus = dragged && event.target.closest?.(".edge")?.querySelector(".add");
  if (!plus) return;
  event.preventDefault();
  send(event.ctrlKey || event.altKey ? "copy" : "move", { step: dragged, at: plus.dataset.at });
});

document.addEventListener("dragend", () => {
  dragged = null;
  for (const one of document.querySelectorAll(".is-dragged, .is-target")) one.classList.remove("is-dragged", "is-target");
});

document.addEventListener("htmx:afterSettle", () => mark(document.querySelector("#fields [name=step]").value || "-"));

// Figures come by themselves; whoever edits or drags is left in peace.
setInterval(() => {
  if (document.hidden || dragged || !adder.hidden || document.querySelector("dialog[open], .htmx-request")) return;
  const step = document.querySelector("#fields [name=step]").value;
  htmx.ajax("GET", `${base}/flow?step=${encodeURIComponent(step)}&revision=${revision()}`, { target: "#flow", swap: "outerHTML" });
}, LOOK_EVERY);
