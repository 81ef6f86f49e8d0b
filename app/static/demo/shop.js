/* The demo shop's pages: asks for consent, tells the tracker what happened, fills the slots, opens the basket. */
(function () {
  "use strict";
  var tracker = window.relance;
  var banner = document.getElementById("cookies");
  var drawer = document.getElementById("drawer");
  var live = document.getElementById("live");

  function each(selector, act, within) { Array.prototype.forEach.call((within || document).querySelectorAll(selector), act); }

  // ---------------------------------------------------------------- consent
  function choose(choice) {
    tracker.consent(choice);
    if (banner) banner.hidden = true;
    if (choice === "granted") begin();
    else location.reload();
  }
  each("[data-consent]", function (button) {
    button.addEventListener("click", function () { choose(button.dataset.consent); });
  });
  each("[data-cookies]", function (button) {
    button.addEventListener("click", function () { banner.hidden = false; banner.querySelector("button").focus(); });
  });

  // ---------------------------------------------------------------- notifications
  each("[data-notify]", function (button) {
    function look(state) { button.hidden = state !== "default" || tracker.consent() !== "granted"; }
    tracker.push.state().then(look);
    addEventListener("relance:consent", function () { tracker.push.state().then(look); });
    button.addEventListener("click", function () {
      tracker.push.ask({ text: button.dataset.notify, form: "demo footer, version 1" }).then(look).catch(function () { button.hidden = true; });
    });
  });

  // ---------------------------------------------------------------- what happened
  function tell(element) {
    tracker.track(element.dataset.track, JSON.parse(element.dataset.properties || "{}"));
  }
  function begin() {
    each("[data-reset]", tracker.reset);
    each("[data-identify]", function (element) {
      if (tracker.userId() === element.dataset.identify) return;
      tracker.identify(element.dataset.identify, JSON.parse(element.dataset.traits || "{}"));
    });
    tracker.page(document.body.dataset.page);
    each("[data-track]:not(form)", tell);
    each("[data-slot]", fill);
    setTimeout(behind, 1500);
  }

  // ---------------------------------------------------------------- recommendations
  function fill(slot) {
    var list = slot.querySelector("ul");
    tracker.recommend(JSON.parse(slot.dataset.slot)).then(function (slate) {
      if (!slate.items.length) return;
      return fetch(slot.dataset.cards, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Fragment": "cards" },
        body: JSON.stringify({ slate_id: slate.slate_id, items: slate.items.map(function (item) { return { product_id: item.product_id, reason: item.reason }; }) })
      }).then(function (answer) { return answer.text(); }).then(function (html) { list.innerHTML = html; });
    }).catch(function () { slot.hidden = !list.querySelector("a"); }).then(function () { list.removeAttribute("aria-busy"); });
  }
  document.addEventListener("click", function (event) {
    var card = event.target.closest("[data-clicked]");
    if (card) tracker.track("Product Clicked", JSON.parse(card.dataset.clicked)); // leaves with the page's beacon
  });
  each(".slot-nav button", function (button) {
    var list = button.closest(".slot").querySelector("ul");
    button.addEventListener("click", function () {
      list.scrollBy({ left: list.clientWidth * Number(button.value), behavior: "smooth" });
    });
  });

  // ---------------------------------------------------------------- basket
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (form.dataset.track) tell(form);
    if (form.dataset.fragment !== "drawer" || form.closest("[data-reload]") || !drawer.showModal) return;
    event.preventDefault();
    var data = new FormData(form);
    if (event.submitter && event.submitter.name) data.set(event.submitter.name, event.submitter.value);
    fetch(form.action, { method: "POST", body: new URLSearchParams(data), headers: { "X-Fragment": "drawer" } })
      .then(function (answer) { return answer.ok ? answer.text() : Promise.reject(answer.status); })
      .then(show)
      .catch(function () { HTMLFormElement.prototype.submit.call(form); });
  });
  function show(html) {
    drawer.innerHTML = html;
    var inner = drawer.querySelector("[data-count]");
    each(".sh-bag b", function (badge) { badge.textContent = inner.dataset.count; badge.hidden = inner.dataset.count === "0"; });
    live.textContent = inner.dataset.said;
    if (!drawer.open) drawer.showModal();
    setTimeout(behind, 1500);
  }
  if (drawer) drawer.addEventListener("click", function (event) {
    if (event.target === drawer || event.target.closest("[data-close]")) drawer.close();
  });

  // ---------------------------------------------------------------- behind the counter
  function behind() {
    var strip = document.getElementById("behind");
    if (!strip) return;
    tracker.flush().then(function () {
      return fetch(strip.dataset.from, { headers: { "X-Anonymous-Id": tracker.anonymousId() || "" } });
    }).then(function (answer) { return answer.text(); }).then(function (html) { strip.innerHTML = html; }).catch(function () {});
  }

  if (tracker && tracker.consent() === "granted") begin();
  else if (tracker && tracker.consent() === "pending" && banner) banner.hidden = false;
})();
