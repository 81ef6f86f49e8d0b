// What was typed in a form outlives the session: kept in this browser while the form is on its way, and brought back
// where it stood once whoever typed it has signed in again. Forms that want it carry data-outlives, with what to say.
"use strict";

{
  const KEY = "relance-typed";

  const keep = (form) => {
    const values = [...new FormData(form)].filter(([name, value]) => name !== "csrf_token" && typeof value === "string");
    sessionStorage.setItem(KEY, JSON.stringify({ path: location.pathname, values }));
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
  };

  addEventListener("submit", (event) => {
    if (event.target.dataset.outlives && !event.defaultPrevented) keep(event.target);
  });

  // A form that speaks to the server by itself says that it was turned away.
  document.addEventListener("relance:lost", (event) => keep(event.target), true);

  addEventListener("load", () => {
    const kept = JSON.parse(sessionStorage.getItem(KEY) || "null");
    if (!kept) return;
    if (document.querySelector(".door")) return sessionStorage.setItem(KEY, JSON.stringify({ ...kept, lost: true }));
    sessionStorage.removeItem(KEY);
    const form = document.querySelector("form[data-outlives]");
    if (kept.lost && form && kept.path === location.pathname) fill(form, kept.values);
  });
}
