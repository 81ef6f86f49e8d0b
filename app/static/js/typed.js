// What was typed in a form outlives the session, a sign-in in another tab and a failing server: kept in this browser while
// the form is on its way, and brought back where it stood. Forms that want it carry data-outlives, with what to say, and
// data-at if their page is not always at the address it is shown at.
"use strict";

{
  const KEY = "relance-typed";
  const OWN = ["csrf_token", "seen", "since", "revision"];

  const leads = (form) => new URL(form.getAttribute("action") || "", location.href).pathname;

  const keep = (form) => {
    const values = [...new FormData(form)].filter(([name, value]) => name !== "csrf_token" && typeof value === "string");
    const at = form.dataset.at || location.pathname + location.search;
    sessionStorage.setItem(KEY, JSON.stringify({ at, leads: leads(form), values }));
  };

  // Among forms that lead to the same address it is the one that is about the same.
  const same = (kept) => {
    const about = (form) => [...form.querySelectorAll("input[type=hidden]")].filter((one) => !OWN.includes(one.name));
    const holds = (one) => kept.values.some(([name, value]) => name === one.name && value === one.value);
    const forms = [...document.querySelectorAll("form[data-outlives]")].filter((form) => leads(form) === kept.leads);
    return forms.find((form) => about(form).every(holds)) || forms[0];
  };

  const fill = (form, values) => {
    const typed = new Map();
    for (const [name, value] of values) typed.set(name, [...(typed.get(name) || []), value]);
    for (const field of form.elements) {
      if (!field.name || field.name === "csrf_token" || field.type === "file") continue;
      if (field.type === "checkbox" || field.type === "radio") field.checked = (typed.get(field.name) || []).includes(field.value);
      else if (typed.get(field.name)?.length) field.value = typed.get(field.name).shift();
    }
    form.dispatchEvent(new CustomEvent("relance:typed", { detail: new URLSearchParams(values) }));
    const said = document.createElement("p");
    said.className = "note note-accent";
    said.setAttribute("role", "status");
    said.textContent = form.dataset.outlives;
    form.prepend(said);
    if (form.closest("details")) form.closest("details").open = true;
  };

  addEventListener("submit", (event) => {
    if (event.target.dataset.outlives && !event.defaultPrevented) keep(event.target);
  });

  // A form that speaks to the server by itself says that it was turned away.
  document.addEventListener("relance:lost", (event) => keep(event.target), true);

  addEventListener("load", () => {
    const kept = JSON.parse(sessionStorage.getItem(KEY) || "null");
    if (!kept) return;
    const failed = document.querySelectorAll("[data-kept]");
    if (document.querySelector(".door") || failed.length) {
      sessionStorage.setItem(KEY, JSON.stringify({ ...kept, lost: true }));
      for (const one of failed) one.hidden = false;
      for (const link of document.querySelectorAll("a[data-kept]")) link.href = kept.at;
      return;
    }
    sessionStorage.removeItem(KEY);
    if (!kept.lost || new URL(kept.at, location.href).pathname !== location.pathname) return;
    const form = same(kept);
    if (form) fill(form, kept.values);
  });
}
