// The segment builder in the browser: drawn and counted anew after each change and each button, one after the other, so
// that over a slow line nothing typed meanwhile is lost. Without it the same buttons send the whole form.
"use strict";

{
  const form = document.querySelector("form[data-drawn]");
  const builder = document.getElementById("builder");
  const mute = document.getElementById("mute");
  const PAUSE = 150;
  const AGAIN = 5000;

  // The kind of the next rule is said by the button that adds it; until then it is no part of what is written.
  const kinds = () => [...builder.querySelectorAll("select[name^=kind]")];
  const typed = () => new URLSearchParams([...new FormData(form)].filter(([name]) => !name.startsWith("kind")));

  // ------------------------------------------------------------------------------------- one after the other
  let line = Promise.resolve();
  let waits = false;
  let due = 0;

  const draw = (act, values = null) => {
    const turn = () => drawn(act, values);
    busy(1);
    line = line.then(turn, turn).finally(() => busy(-1));
  };

  const redraw = () => {
    if (waits) return;
    waits = true;
    busy(1);
    setTimeout(() => (draw(null), busy(-1)), PAUSE);
  };

  function busy(more) {
    due += more;
    builder.setAttribute("aria-busy", due > 0);
  }

  async function drawn(act, values = null) {
    if (!act) waits = false;
    const before = typed().toString();
    const sent = values || typed();
    for (const [name, value] of act || []) sent.set(name, value);
    const answer = await asked(sent);
    if (!answer) return;
    if (!values && typed().toString() !== before) return drawn(act);
    place(answer);
  }

  async function asked(values) {
    const headers = { "HX-Request": "true", "HX-Current-URL": location.href };
    for (let renewed = false; ; ) {
      values.set("csrf_token", form.elements.csrf_token.value);
      const answer = await fetch(form.dataset.drawn, { method: "POST", body: values, headers }).catch(() => null);
      const [token, door] = ["X-CSRFToken", "HX-Redirect"].map((name) => answer?.headers.get(name));
      mute.hidden = Boolean(answer?.ok || token || door);
      if (answer?.ok) return answer.text();
      if (door) {
        form.dispatchEvent(new Event("relance:lost"));
        location.assign(door);
        return null;
      }
      if (token) renew(token);
      if (!token || renewed) await new Promise((done) => setTimeout(done, AGAIN)); // what is typed stands meanwhile
      renewed = Boolean(token);
    }
  }

  // ------------------------------------------------------------------------------------------------ drawing
  function place(html) {
    const picked = new Map(kinds().map((one) => [one.name, one.value]));
    const stood = whereabouts();
    htmx.swap(builder, html, { swapStyle: "innerHTML" });
    for (const one of kinds()) if (picked.has(one.name)) one.value = picked.get(one.name);
    regain(stood, builder);
  }

  // ---------------------------------------------------------------------------------------------- listening
  form.addEventListener("change", (event) => {
    if (!event.target.closest(".group-add")) redraw(); // a kind is chosen for the button beside it
  });

  form.addEventListener("click", (event) => {
    const button = event.target.closest("button[name=do]");
    if (!button) return;
    event.preventDefault();
    const kind = button.closest(".group-add")?.querySelector("select");
    draw([["do", button.value], ...(kind ? [[kind.name, kind.value]] : [])]);
  });

  form.addEventListener("relance:typed", (event) => draw(null, event.detail));

  if (form.dataset.count) redraw();
}
