/* The storefront's tracker: tells Relance what a visitor does, once the visitor has agreed. No dependencies.

     <script src="https://relance.example.com/tracker.js" data-write-key="wk_…" defer></script>

   data-host    where Relance is, if not where this script came from
   data-consent "granted" when the shop has already asked; without it nothing is stored and nothing is sent

     relance.consent("granted" | "refused")   keeps the choice six months; refusing also removes what was stored
     relance.consent()                        "granted", "refused" or "pending"
     relance.page([name], [properties])       a page was seen
     relance.track(event, [properties])       names and properties of the Segment e-commerce specification
     relance.identify(userId, [traits])       who it is; later calls carry the id
     relance.reset()                          signed out: forgets who it was, starts a new visitor
     relance.anonymousId()                    this visitor's id, null before consent
     relance.userId()                         who was identified last, null if nobody
     relance.recommend(options)               a promise of {slate_id, items}; options: placement, product, n, store,
                                              category, exclude, locale; it knows the visitor by itself
     relance.flush()                          sends now what is waiting

   What is called before consent is dropped. Events wait half a second and go together; what cannot be delivered is
   kept in the browser and sent again under the same messageId, so that it counts once. */
(function () {
  "use strict";
  var script = document.currentScript;
  var host = (script && script.dataset.host) || new URL((script && script.src) || location.href, location.href).origin;
  var writeKey = (script && script.dataset.writeKey) || "";
  var DAY = 86400, CONSENT_DAYS = 182, VISITOR_DAYS = 390;
  var BATCH = 50, LARGEST_BEACON = 60000, WAIT = 500, MOST_KEPT = 200;
  var QUEUE = "relance-queue", VISITOR = "relance-visitor", USER = "relance-user", CHOICE = "relance-consent";
  var CAMPAIGN = { utm_source: "source", utm_medium: "medium", utm_campaign: "name", utm_term: "term", utm_content: "content" };
  var timer = null, sending = false, failures = 0;

  // ------------------------------------------------------------------ what the browser keeps
  function readCookie(name) {
    var found = document.cookie.match(new RegExp("(?:^|; )" + name + "=([^;]*)"));
    return found ? decodeURIComponent(found[1]) : null;
  }
  function writeCookie(name, value, days) {
    var secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = name + "=" + encodeURIComponent(value) + "; Path=/; Max-Age=" + days * DAY + "; SameSite=Lax" + secure;
  }
  function readKept(name) {
    try { return JSON.parse(localStorage.getItem(name)); } catch (unreadable) { return null; }
  }
  function keep(name, value) {
    try {
      if (value === null) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify(value));
    } catch (full) { /* a full or forbidden storage loses what it cannot hold, never the page */ }
  }
  function newId() {
    if (crypto.randomUUID) return crypto.randomUUID();
    var bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, function (b) { return b.toString(16).padStart(2, "0"); }).join("");
  }

  // ------------------------------------------------------------------ consent
  function consent(choice) {
    if (choice === undefined) {
      var said = readCookie(CHOICE);
      return said === "granted" || said === "refused" ? said : script && script.dataset.consent === "granted" ? "granted" : "pending";
    }
    writeCookie(CHOICE, choice, CONSENT_DAYS);
    if (choice !== "granted") forget();
    dispatchEvent(new CustomEvent("relance:consent", { detail: choice }));
    return choice;
  }
  function allowed() { return consent() === "granted"; }
  function forget() {
    writeCookie(VISITOR, "", 0);
    keep(USER, null);
    keep(QUEUE, null);
  }

  // ------------------------------------------------------------------ who
  function anonymousId() {
    if (!allowed()) return null;
    var id = readCookie(VISITOR);
    if (!id) writeCookie(VISITOR, (id = newId()), VISITOR_DAYS);
    return id;
  }
  function userId() {
    return allowed() ? readKept(USER) : null;
  }
  function identify(id, traits) {
    if (!allowed()) return;
    keep(USER, String(id));
    add({ type: "identify", traits: traits || {} });
  }

  // ------------------------------------------------------------------ what
  function context() {
    var query = new URLSearchParams(location.search);
    var campaign = {};
    Object.keys(CAMPAIGN).forEach(function (key) { if (query.get(key)) campaign[CAMPAIGN[key]] = query.get(key); });
    if (query.get("mt")) campaign.mt = query.get("mt");
    return {
      library: { name: "relance-tracker", version: "1" },
      page: { path: location.pathname, url: location.href, title: document.title, referrer: document.referrer, search: location.search },
      campaign: campaign,
      locale: document.documentElement.lang || navigator.language,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      userAgent: navigator.userAgent
    };
  }
  function add(message) {
    if (!allowed()) return;
    message.messageId = newId();
    message.anonymousId = anonymousId();
    if (userId()) message.userId = userId();
    message.timestamp = new Date().toISOString();
    message.context = context();
    keep(QUEUE, (readKept(QUEUE) || []).concat(message).slice(-MOST_KEPT));
    schedule(WAIT);
  }
  function page(name, properties) {
    if (name && typeof name === "object") { properties = name; name = undefined; }
    var seen = { path: location.pathname, url: location.href, title: document.title, referrer: document.referrer };
    add({ type: "page", name: name || document.title, properties: Object.assign(seen, properties) });
  }
  function track(event, properties) {
    add({ type: "track", event: event, properties: properties || {} });
  }

  // ------------------------------------------------------------------ sending
  function schedule(wait) {
    clearTimeout(timer);
    timer = setTimeout(flush, wait);
  }
  function body(messages) {
    return JSON.stringify({ writeKey: writeKey, sentAt: new Date().toISOString(), batch: messages });
  }
  function settled(messages) {
    var done = messages.map(function (m) { return m.messageId; });
    var left = (readKept(QUEUE) || []).filter(function (m) { return done.indexOf(m.messageId) < 0; });
    keep(QUEUE, left.length ? left : null);
    return left.length;
  }
  function flush() {
    var messages = (readKept(QUEUE) || []).slice(0, BATCH);
    if (sending || !messages.length || !allowed()) return Promise.resolve();
    sending = true;
    return fetch(host + "/v1/batch", { method: "POST", body: body(messages), headers: { "Content-Type": "text/plain" }, credentials: "omit" })
      .then(function (answer) {
        sending = false;
        if (answer.status === 429 || answer.status >= 500) throw new Error("not now");
        failures = 0;
        if (settled(messages)) schedule(0); // a refusal for good is not asked again either
      })
      .catch(function () {
        sending = false;
        failures = Math.min(failures + 1, 8);
        schedule(1000 * Math.pow(2, failures) * (0.5 + Math.random() / 2));
      });
  }
  // A beacon's answer is never seen: what it carried stays in the queue and goes again with the next page, where its
  // messageId makes the second time nothing.
  function leave() {
    var messages = (readKept(QUEUE) || []).slice(-BATCH);
    if (!messages.length || !allowed() || !navigator.sendBeacon) return;
    while (messages.length > 1 && body(messages).length > LARGEST_BEACON) messages.shift();
    navigator.sendBeacon(host + "/beacon/v1/batch?writeKey=" + encodeURIComponent(writeKey), body(messages));
  }

  // ------------------------------------------------------------------ recommendations
  function recommend(options) {
    if (!allowed()) return Promise.resolve({ slate_id: null, items: [] });
    var query = new URLSearchParams();
    query.set("anonymous", anonymousId()); // a public key may not name customers; identify() has tied them together
    Object.keys(options || {}).forEach(function (name) {
      [].concat(options[name]).forEach(function (value) { if (value !== undefined && value !== "") query.append(name, value); });
    });
    return fetch(host + "/v1/recommendations?" + query, { headers: { Authorization: "Bearer " + writeKey }, credentials: "omit" })
      .then(function (answer) {
        if (!answer.ok) throw new Error("recommendations: " + answer.status);
        return answer.json();
      });
  }

  addEventListener("pagehide", leave);
  addEventListener("online", flush);
  if (allowed()) schedule(0);
  window.relance = {
    consent: consent, page: page, track: track, identify: identify, reset: forget,
    anonymousId: anonymousId, userId: userId, recommend: recommend, flush: flush
  };
})();
