// What the console does in the browser beside htmx: time zone, dialogs, menus, the search key, where the focus is.
// Every page works without it, save the asking before a decision.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes(`zone=${zone}`)) {
  document.cookie = `zone=${zone}; path=/console; max-age=31536000; samesite=lax`;
}

// What was refused in a dialog is said in it: the page comes back with it open.
for (const dialog of document.querySelectorAll("dialog[open]")) {
  dialog.close();
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog).showModal();
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog").close();
  if (event.target.tagName === "DIALOG") event.target.close();
});

// Details come in a drawer and the page stays; whoever asks for a tab of its own gets the page they have, and so does
// whoever gets no drawer.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-drawer]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const drawer = document.getElementById("drawer");
  if (drawer.matches(".htmx-request")) return;
  drawer.replaceChildren();
  await htmx.ajax("GET", link.href, { source: drawer, target: drawer }).catch(() => {});
  if (drawer.childElementCount) drawer.showModal();
  else location.assign(link.href);
});

// A menu shuts when one goes on elsewhere, by pointer or by Tab.
for (const kind of ["click", "focusin"]) {
  document.addEventListener(kind, (event) => {
    for (const menu of document.querySelectorAll(".profile[open], .phonebar details[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });
}

// What was typed into a search before its script had come is searched now.
document.addEventListener("DOMContentLoaded", () => {
  for (const field of document.querySelectorAll("input[type=search][hx-get]")) {
    if (field.value !== field.defaultValue) htmx.trigger(field, "early");
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll(".profile[open], .phonebar details[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    for (const hits of document.querySelectorAll(".hits")) {
      if (hits.contains(document.activeElement)) hits.closest(".pickbox").querySelector("input").focus();
      hits.replaceChildren();
    }
  }
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    const search = document.querySelector("[data-hotkey=k]");
    if (search && search.offsetParent) {
      event.preventDefault();
      search.focus();
    }
  }
});

// What one stands at among tabs is in sight where the row of them is wider than the screen.
for (const at of document.querySelectorAll(":is(.tabs, .subnav, .settings-nav) [aria-current]")) {
  const row = at.closest(".tabs, .subnav, .settings-nav");
  const [place, around] = [at.getBoundingClientRect(), row.getBoundingClientRect()];
  row.scrollLeft += place.left - around.left - (around.width - place.width) / 2;
}

// Choosing submits: filters and pickers that are forms of one field. The arrow keys pass by other choices on their way,
// so by keyboard it is Enter, or going on, that chooses.
let passed = null;

document.addEventListener("keydown", (event) => {
  const field = event.target.closest("select[data-submit]");
  if (!field || event.altKey || ["Tab", " "].includes(event.key)) return;
  if (event.key !== "Enter") passed ??= { field, before: field.value };
  else if (passed) {
    event.preventDefault();
    chosen();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]") && !passed) event.target.form.requestSubmit();
});

document.addEventListener("pointerdown", (event) => event.target === passed?.field && (passed = null));
document.addEventListener("focusout", () => passed && chosen());

function chosen() {
  const { field, before } = passed;
  passed = null;
  if (field.value !== before) field.form.requestSubmit();
}

// A row of links that is wider than a telephone moves along with the focus: browsers leave what is half seen as it is.
document.addEventListener("focusin", (event) => {
  const row = event.target.closest(".tabs, .subnav, .settings-nav");
  if (row) event.target.scrollIntoView({ block: "nearest", inline: "nearest" });
});

// Whoever stands in what is drawn anew stands there again: at the same thing with the cursor where it was, or else at
// the whole of what came in its place.
const signed = (one) => {
  const named = one.id || one.name || one.getAttribute("href") || one.getAttribute("aria-label") || one.textContent.trim();
  return `${one.localName} ${named} ${one.type === "submit" ? one.value : ""}`;
};
const alike = (one) => [...document.getElementsByTagName(one.localName)].filter((other) => signed(other) === signed(one));

function whereabouts() {
  const at = document.activeElement;
  return at === document.body ? null : { at, among: alike(at).indexOf(at), begin: at.selectionStart, end: at.selectionEnd };
}

function regain(stood, fresh) {
  if (!stood || stood.at.isConnected || document.activeElement !== document.body) return;
  const { at, among, begin, end } = stood;
  const twins = alike(at);
  const found = twins[Math.min(among, twins.length - 1)];
  if (found?.closest("details[data-stays]")) found.closest("details").open = true;
  found?.focus({ preventScroll: true });
  if (found && begin != null) found.setSelectionRange(begin, end);
  if (document.activeElement !== document.body) return;
  let gone = at;
  while (gone.parentElement) gone = gone.parentElement;
  const instead = document.getElementById(gone.id) || (fresh instanceof Element ? fresh : document.getElementById("main"));
  if (!instead.hasAttribute("tabindex")) instead.setAttribute("tabindex", "-1");
  instead.focus({ preventScroll: true });
}

let stood = null;
document.addEventListener("htmx:beforeSwap", () => (stood = whereabouts()));
document.addEventListener("htmx:afterSettle", (event) => {
  regain(stood, event.target);
  stood = null;
});

// Signed in again in another tab, this page's token is old: an answer to a script tells the one that holds by now.
function renew(token) {
  document.body.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": token }));
  for (const field of document.querySelectorAll("[name=csrf_token]")) field.value = token;
}

// A form goes once, however often it is pressed while the answer is on its way; whoever comes back may send it again.
// Heard last, at the window: what other scripts send themselves they have stopped by then.
addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.target) return;
  if (form.hasAttribute("aria-busy")) event.preventDefault();
  else form.setAttribute("aria-busy", "true");
});

addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[aria-busy]")) form.removeAttribute("aria-busy");
});

// What was done is said, then gets out of the way.
setTimeout(() => document.querySelectorAll(".flash .toast").forEach((said) => said.remove()), 6000);

// A page nobody looks at asks for nothing; what it would have asked for once, it asks for when somebody looks.
const unasked = new Map();

document.addEventListener("htmx:beforeRequest", (event) => {
  if (!document.hidden) return;
  event.preventDefault();
  if (event.target.matches("[hx-trigger=load]")) unasked.set(event.target, event.detail.requestConfig);
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  for (const [source, { verb, path }] of unasked) if (source.isConnected) htmx.ajax(verb, path, { source });
  unasked.clear();
});
