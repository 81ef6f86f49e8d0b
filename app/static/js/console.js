// What the console does in the browser beside htmx: time zone, dialogs, menus, the search key.
// Every page works without it, save the asking before a decision.
"use strict";

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes(`zone=${zone}`)) {
  document.cookie = `zone=${zone}; path=/console; max-age=31536000; samesite=lax`;
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog).showModal();
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest("dialog").close();
  if (event.target.tagName === "DIALOG") event.target.close();
  for (const menu of document.querySelectorAll(".profile[open], .phonebar details[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll(".profile[open], .phonebar details[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    for (const hits of document.querySelectorAll(".hits")) hits.replaceChildren();
  }
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    const search = document.querySelector("[data-hotkey=k]");
    if (search && search.offsetParent) {
      event.preventDefault();
      search.focus();
    }
  }
});

// Choosing submits: filters and pickers that are forms of one field.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

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

// A page nobody looks at asks for nothing.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden) event.preventDefault();
});
