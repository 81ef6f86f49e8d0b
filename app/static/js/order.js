// Rows put in another order: by dragging their handle, with a mouse or a finger, or by the arrow keys while it has the
// focus. Without this file the buttons of each row do the same, one place at a time.
"use strict";

for (const list of document.querySelectorAll("[data-order]")) {
  const rows = () => [...list.querySelectorAll("[data-place]")];
  let held = null;
  let target = null;

  const mark = (row, where) => {
    for (const one of rows()) one.classList.remove("drop-above", "drop-below");
    if (row) row.classList.add(where);
  };

  const send = (row, values) => {
    const form = row.querySelector("form");
    for (const [name, value] of Object.entries(values)) {
      const field = document.createElement("input");
      field.type = "hidden";
      field.name = name;
      field.value = value;
      form.append(field);
    }
    form.submit();
  };

  // The place the held row would take: above the first row whose middle lies below the pointer.
  const placeAt = (y) => {
    const others = rows().filter((row) => row !== held);
    const under = others.findIndex((row) => {
      const box = row.getBoundingClientRect();
      return y < box.top + box.height / 2;
    });
    const place = under < 0 ? others.length : under;
    mark(under < 0 ? others[others.length - 1] : others[under], under < 0 ? "drop-below" : "drop-above");
    return place;
  };

  list.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(".grip");
    if (!grip || event.button) return;
    event.preventDefault();
    grip.focus();
    grip.setPointerCapture(event.pointerId);
    held = grip.closest("[data-place]");
    held.classList.add("is-held");
    target = rows().indexOf(held);
  });
  list.addEventListener("pointermove", (event) => {
    if (held) target = placeAt(event.clientY);
  });
  const end = (event) => {
    if (!held) return;
    const row = held;
    const from = rows().indexOf(row);
    held = null;
    row.classList.remove("is-held");
    mark(null);
    if (event.type === "pointerup" && target !== from) send(row, { to: target });
  };
  list.addEventListener("pointerup", end);
  list.addEventListener("pointercancel", end);

  list.addEventListener("keydown", (event) => {
    const grip = event.target.closest(".grip");
    const way = { ArrowUp: "up", ArrowDown: "down" }[event.key];
    if (!grip || !way) return;
    event.preventDefault();
    send(grip.closest("[data-place]"), { way });
  });
}

// After a move the page comes back at the row that was moved: the handle has the focus again.
// Not before the browser has gone to the row by itself, for that takes the focus away.
addEventListener("load", () => {
  const moved = location.hash && document.getElementById(location.hash.slice(1));
  if (moved) setTimeout(() => moved.querySelector(".grip")?.focus());
});
