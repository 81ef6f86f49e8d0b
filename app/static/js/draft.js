// What the journey builder and the message editor share: acts on a draft, sent one after another, and kept in this
// browser while the session or the connection is gone. Every act is a form of the page; this only sends them sooner.
"use strict";

const desk = document.querySelector("[data-draft]");
const base = desk.dataset.draft;
const may = Boolean(desk.dataset.may);
const LOST = `relance-lost:${desk.dataset.campaign}`;
const PAUSE = 700;
const carried = JSON.parse(desk.dataset.carried || "{}");

const drawn = () => document.getElementById(desk.dataset.drawn);
const revision = () => drawn().dataset.revision;
const lost = () => JSON.parse(sessionStorage.getItem(LOST) || "[]");
const quote = (text) => document.getElementById("jb-toast").dataset[text];

// How often the act that is on its way was sent before, and whether the session had ended when it was last heard of.
let tries = 0;
let ended = false;

// One act after the other: each is sent with the revision the one before it made, so quick hands lose nothing.
let sent = Promise.resolve();
const line = [];

function send(path, values) {
  flush();
  return queue(path, () => values);
}

function queue(path, filled) {
  const turn = { path, filled };
  line.push(turn);
  const post = () => {
    line.splice(line.indexOf(turn), 1);
    const { held, tries: tried, ...values } = filled();
    if (ended || lost().length) return keep(path, { ...values, ...(held && { held }) }, tried);
    tries = tried ?? 0;
    const token = document.querySelector("#fields [name=csrf_token]").value;
    return htmx.ajax("POST", `${base}/${path}`, {
      source: desk, // of its own, so that nothing fetched meanwhile takes its turn
      target: drawn(),
      swap: "outerHTML",
      values: { ...carried, ...values, csrf_token: token, revision: held ?? revision() },
    });
  };
  sent = sent.then(post, post);
  return sent;
}

function say(text) {
  const toast = document.getElementById("jb-toast");
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => (toast.hidden = true), 6000);
}

// ------------------------------------------------------------------------------- forms that keep themselves
// A form is read when its turn has come, so that what was typed meanwhile goes with it.
const waiting = new Map();

function flush() {
  for (const [form, timer] of waiting) {
    clearTimeout(timer);
    write(form);
  }
}

function write(form, extra = {}) {
  waiting.delete(form);
  const path = new URL(form.action).pathname.slice(base.length + 1);
  const given = Object.fromEntries(new FormData(form));
  queue(path, () => {
    const now = form.isConnected ? Object.fromEntries(new FormData(form)) : given;
    delete now.revision;
    return { ...now, ...extra };
  });
}

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-keep]");
  if (!form || !event.target.name) return;
  clearTimeout(waiting.get(form));
  waiting.set(form, setTimeout(write, PAUSE, form));
});

document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-keep]");
  if (!form || !event.target.name) return;
  clearTimeout(waiting.get(form));
  write(form, { changed: event.target.name });
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const button = event.submitter;
  if (form.matches("[data-keep]")) {
    event.preventDefault();
    clearTimeout(waiting.get(form));
    write(form, button?.name ? { [button.name]: button.value } : {});
  } else if (form.matches("[data-send]")) {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(form));
    delete values.revision;
    send(form.dataset.send, values);
  }
});

// From the fields of what is open, Escape leads back to it.
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.closest("#panel")) document.querySelector("[data-stop][aria-current]")?.focus();
});

// --------------------------------------------------------------------------------- what comes back from the server
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.xhr.status === 409) event.detail.shouldSwap = true;
});

document.addEventListener("htmx:afterSettle", () => {
  for (const field of document.querySelectorAll("form input[name=revision]")) {
    if (!field.closest("#conflict")) field.value = revision();
  }
  tell();
});

// A menu that is open in what is drawn anew is open there again; `place` tells the selector of where it was opened.
// Whoever goes on from it leaves it shut.
function stays(menu, place) {
  menu.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !menu.contains(event.relatedTarget)) put();
  });
  let opened, focused;
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (!event.detail.shouldSwap || !drawn().contains(menu)) return;
    opened = place();
    focused = menu.contains(document.activeElement) ? document.activeElement : null;
    desk.after(menu);
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (menu.hidden || drawn().contains(menu)) return;
    const found = document.querySelector(opened);
    if (!found) return put();
    choose(found);
    if (focused) focused.focus();
  });
}

// Each fault beside its field, for whatever is not drawn anew while one types in it.
function tell() {
  for (const field of document.querySelectorAll("[data-field]")) show(field, "");
  for (const fault of document.querySelectorAll("#field-faults li")) {
    const field = place(fault.dataset.for);
    if (field) show(field, fault.textContent);
  }
}

tell();

function place(name) {
  for (let path = name; path; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
    const field = document.querySelector(`[data-field="${CSS.escape(path)}"]`);
    if (field) return field;
  }
  return null;
}

function show(field, text) {
  const said = field.querySelector(":scope > .fault");
  if (!said) return;
  field.classList.toggle("has-fault", Boolean(text));
  said.hidden = !text;
  said.querySelector("span").textContent = text;
  const input = field.querySelector("[id^=f-]:is(input, select, textarea)");
  if (input) text ? input.setAttribute("aria-invalid", "true") : input.removeAttribute("aria-invalid");
}

// --------------------------------------------------- when the session, the connection or the server is gone
// The first act that was lost keeps the revision it was made on, so that a conflict is told; the others follow it.
function keep(path, values, tried = 0) {
  const kept = lost();
  const { csrf_token: _, revision: made, held, ...own } = values;
  const first = kept.length ? {} : { held: held ?? made ?? revision() };
  sessionStorage.setItem(LOST, JSON.stringify([...kept, { path, values: { ...own, ...first, ...(tried && { tries: tried }) } }]));
}

function refused(detail, tried = 0) {
  const { path, verb, formData } = detail.requestConfig;
  if (verb !== "post" || !path.startsWith(base)) return false;
  keep(path.slice(base.length + 1), Object.fromEntries(formData), tried);
  return true;
}

// Signed in again in another tab, this page's token is old: the answer tells the new one. What the server fails at is
// sent again while it may be coming back, but a bug is not asked for ever.
const TRIES = 3;
const TOKEN_PAUSE = 5000;
let renewed = 0;

document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr, requestConfig } = event.detail;
  const { status } = xhr;
  if (status < 400 || status === 409 || !requestConfig.path.startsWith(base)) return;
  const post = requestConfig.verb === "post";
  if (status === 401) {
    event.preventDefault();
    if (post) refused(event.detail, tries);
    return ask();
  }
  if (!post) return;
  const token = xhr.getResponseHeader("X-CSRFToken");
  const may_come = status > 500 || (status === 500 && tries + 1 < TRIES);
  if (!token && !may_come) return say(quote("dropped"));
  event.preventDefault();
  refused(event.detail, tries + (status === 500));
  if (!token) say(quote("unanswered"));
  else {
    renew(token);
    if (Date.now() - renewed > TOKEN_PAUSE) sent = sent.then(again, again);
    renewed = Date.now();
  }
});

// Whatever is asked for first once the session has ended, figures by themselves too, nobody is led away from what she
// was typing, and what still waits to be sent is kept.
function ask() {
  const dialog = document.getElementById("signed-out");
  ended = true;
  flush();
  if (!dialog.open) dialog.showModal();
}

document.addEventListener("htmx:sendError", (event) => {
  if (refused(event.detail)) say(quote("lost"));
});

function again() {
  const kept = lost();
  if (!kept.length || !may || again.under) return;
  sessionStorage.removeItem(LOST);
  ended = false;
  again.under = true;
  for (const { path, values } of kept) queue(path, () => values);
  sent = sent.then(() => {
    again.under = false;
    if (!lost().length) say(quote("back"));
  });
}

addEventListener("online", again);
addEventListener("load", again);
setInterval(() => navigator.onLine && !document.querySelector("dialog[open]") && again(), 5000);

// What was typed a moment ago goes before the page does.
addEventListener("beforeunload", () => {
  flush();
  for (const { path, filled } of line) keep(path, filled());
});
