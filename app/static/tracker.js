/* The storefront's tracker: tells Relance what a visitor does, shows what the shop wants shown, and asks for leave to
   notify; all of it once the visitor has agreed. No dependencies.

     <script src="https://relance.example.com/tracker.js" data-write-key="wk_…" defer></script>

   data-host     where Relance is, if not where this script came from
   data-consent  "granted" when the shop has already asked; "google" follows Google's Consent Mode; "tcf" the IAB's TCF;
                 without it nothing is stored and nothing is sent until consent() is called
   data-spa      present: a page is told and looked at anew whenever the address changes without a load
   data-worker   the shop's own file for notifications, /relance-worker.js if not said; see push-worker.js
   data-onsite   "off" to show nothing on these pages

     relance.consent("granted" | "refused")   keeps the choice six months; refusing also removes what was stored
     relance.consent()                        "granted", "refused" or "pending"
     relance.page([name], [properties])       a page was seen
     relance.track(event, [properties])       names and properties of the Segment e-commerce specification
     relance.identify(userId, [traits])       who it is; later calls carry the id
     relance.group(groupId, [traits])         what she belongs to
     relance.alias(userId, [previousId])      two ids are one person
     relance.reset()                          signed out: forgets who it was, starts a new visitor
     relance.anonymousId()                    this visitor's id, null before consent
     relance.userId()                         who was identified last, null if nobody
     relance.recommend(options)               a promise of {slate_id, items}; options: placement, product, n, store,
                                              category, exclude, locale; it knows the visitor by itself
     relance.push.state()                     a promise of "granted", "denied", "default" or "unsupported"
     relance.push.ask({text, form})           the browser's own question, at a click; `text` is what the shop said
     relance.push.stop()                      this browser is notified no more
     relance.onsite()                         looks anew at what this page shows
     relance.flush()                          sends now what is waiting

   Calls made before this script is there are kept by `window.relance = window.relance || []; relance.push(["track", …])`.
   What is called before consent is dropped. Events wait half a second and go together; what cannot be delivered is
   kept in the browser and sent again under the same messageId, so that it counts once. */
(function () {
  "use strict";
  var script = document.currentScript;
  var said = script ? script.dataset : {};
  var host = said.host || new URL((script && script.src) || location.href, location.href).origin;
  var writeKey = said.writeKey || "";
  var early = Array.isArray(window.relance) ? window.relance : [];
  var DAY = 86400, CONSENT_DAYS = 182, VISITOR_DAYS = 390;
  var BATCH = 50, LARGEST_BEACON = 60000, WAIT = 500, MOST_KEPT = 200;
  var QUEUE = "relance-queue", VISITOR = "relance-visitor", USER = "relance-user", CHOICE = "relance-consent";
  var BLOCKS = "relance-blocks", VIEWS = "relance-views", DEVICE = "relance-device";
  var CAMPAIGN = { utm_source: "source", utm_medium: "medium", utm_campaign: "name", utm_term: "term", utm_content: "content" };
  var timer = null, sending = false, failures = 0;

  // ------------------------------------------------------------------ what the browser keeps
  function readCookie(name) {
    try {
      var found = document.cookie.match(new RegExp("(?:^|; )" + name + "=([^;]*)"));
      return found ? decodeURIComponent(found[1]) : null;
    } catch (forbidden) { return null; }
  }
  function writeCookie(name, value, days) {
    var secure = location.protocol === "https:" ? "; Secure" : "";
    try {
      document.cookie = name + "=" + encodeURIComponent(value) + "; Path=/; Max-Age=" + days * DAY + "; SameSite=Lax" + secure;
    } catch (forbidden) { /* a frame without an origin has no cookies */ }
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
  function call(path, options) {
    var asked = Object.assign({ credentials: "omit", headers: {} }, options);
    asked.headers = Object.assign({ Authorization: "Bearer " + writeKey }, asked.headers);
    return fetch(host + path, asked).then(function (answer) {
      if (!answer.ok) throw new Error(path.split("?")[0] + ": " + answer.status);
      return answer.status === 204 ? null : answer.json();
    });
  }
  function post(path, body, method) {
    return call(path, { method: method || "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" }, keepalive: true });
  }

  // ------------------------------------------------------------------ consent
  function consent(choice) {
    if (choice === undefined) {
      var kept = readCookie(CHOICE);
      return kept === "granted" || kept === "refused" ? kept : said.consent === "granted" ? "granted" : "pending";
    }
    var before = consent();
    writeCookie(CHOICE, choice, CONSENT_DAYS);
    if (choice !== "granted") forget();
    dispatchEvent(new CustomEvent("relance:consent", { detail: choice }));
    if (choice === "granted" && before !== "granted") begin();
    return choice;
  }
  function allowed() { return consent() === "granted"; }
  function forget() {
    writeCookie(VISITOR, "", 0);
    [USER, QUEUE, BLOCKS, DEVICE].forEach(function (name) { keep(name, null); });
    try { sessionStorage.removeItem(VIEWS); } catch (forbidden) { /* then there is nothing in it */ }
    clear();
  }
  // Google's Consent Mode writes ["consent", "default" | "update", {analytics_storage: "granted" | "denied"}] to the data
  // layer. A default of the page is no choice of the visitor's, unless it refuses.
  function followGoogle() {
    var layer = (window.dataLayer = window.dataLayer || []);
    function read(entry) {
      if (!entry || entry[0] !== "consent" || !entry[2] || !entry[2].analytics_storage) return;
      if (entry[1] === "update") settle(entry[2].analytics_storage === "granted");
    }
    Array.prototype.forEach.call(layer, read);
    var inner = layer.push;
    layer.push = function () {
      Array.prototype.forEach.call(arguments, read);
      return inner.apply(layer, arguments);
    };
  }
  // TCF: purpose 1 lets us keep, 8 measure. Where the law does not apply nothing is refused.
  function followTcf(tries) {
    if (!window.__tcfapi) {
      if (tries) setTimeout(function () { followTcf(tries - 1); }, 250);
      return;
    }
    window.__tcfapi("addEventListener", 2, function (told, fine) {
      if (!fine || ["tcloaded", "useractioncomplete"].indexOf(told.eventStatus) < 0) return;
      var yes = (told.purpose && told.purpose.consents) || {};
      settle(told.gdprApplies === false || Boolean(yes[1] && yes[8]));
    });
  }
  function settle(granted) {
    var choice = granted ? "granted" : "refused";
    if (consent() !== choice) consent(choice);
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
  function group(id, traits) { add({ type: "group", groupId: String(id), traits: traits || {} }); }
  function alias(id, previous) {
    if (!allowed()) return;
    add({ type: "alias", userId: String(id), previousId: previous || userId() || anonymousId() });
    keep(USER, String(id));
  }

  // ------------------------------------------------------------------ what
  function context() {
    var query = new URLSearchParams(location.search);
    var campaign = {};
    Object.keys(CAMPAIGN).forEach(function (key) { if (query.get(key)) campaign[CAMPAIGN[key]] = query.get(key); });
    if (query.get("mt")) campaign.mt = query.get("mt");
    return {
      library: { name: "relance-tracker", version: "2" },
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
    if (!message.userId && userId()) message.userId = userId();
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
    return call("/v1/recommendations?" + query);
  }

  // ------------------------------------------------------------------ notifications
  var able = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
  function state() {
    if (!able || !writeKey) return Promise.resolve("unsupported");
    var said = Notification.permission; // a permission we were never told of is as good as none
    return Promise.resolve(said === "granted" && !readKept(DEVICE) ? "default" : said);
  }
  function register() {
    var worker = said.worker || "/relance-worker.js";
    var query = "?host=" + encodeURIComponent(host) + "&key=" + encodeURIComponent(writeKey);
    return navigator.serviceWorker.register(worker + query).then(function (found) {
      return found.active ? found : new Promise(function (ready) {
        var coming = found.installing || found.waiting;
        coming.addEventListener("statechange", function () { if (coming.state === "activated") ready(found); });
      });
    });
  }
  function subscribe(found, publicKey) {
    var raw = atob(publicKey.replace(/-/g, "+").replace(/_/g, "/"));
    var bytes = Uint8Array.from(raw, function (letter) { return letter.charCodeAt(0); });
    return found.pushManager.getSubscription().then(function (kept) {
      var theirs = kept && kept.options && kept.options.applicationServerKey;
      var same = theirs && String.fromCharCode.apply(null, new Uint8Array(theirs)) === raw;
      return kept && !same ? kept.unsubscribe().then(function () { return null; }) : kept;
    }).then(function (kept) {
      return kept || found.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes });
    });
  }
  function reachable(agreed) {
    return Promise.all([register(), call("/v1/push/key")]).then(function (got) {
      return subscribe(got[0], got[1].public_key);
    }).then(function (subscription) {
      var told = { subscription: subscription.toJSON(), anonymous_id: anonymousId(), page: location.href.slice(0, 2000) };
      return post("/v1/push/subscriptions", Object.assign(told, agreed));
    }).then(function () { keep(DEVICE, Date.now()); });
  }
  // Browsers want the question to follow a click. What the shop said before it is kept as proof.
  function ask(words) {
    if (!able || !writeKey || !allowed()) return Promise.resolve(able ? "default" : "unsupported");
    return Notification.requestPermission().then(function (answer) {
      if (answer !== "granted") return answer;
      var agreed = { text: (words && words.text) || document.title };
      if (words && words.form) agreed.form = words.form;
      return reachable(agreed).then(function () { return "granted"; });
    });
  }
  function stop() {
    if (!able) return Promise.resolve();
    keep(DEVICE, null);
    return navigator.serviceWorker.getRegistration(said.worker || "/relance-worker.js").then(function (found) {
      return found && found.pushManager.getSubscription();
    }).then(function (subscription) {
      if (!subscription) return null;
      var gone = { endpoint: subscription.endpoint };
      return subscription.unsubscribe().then(function () { return post("/v1/push/subscriptions", gone, "DELETE"); });
    });
  }
  // Once a day a browser that agreed says that it is still there, or where it is now.
  function stillThere() {
    var last = readKept(DEVICE);
    if (!able || !last || Date.now() - last < DAY * 1000 || Notification.permission !== "granted") return;
    keep(DEVICE, Date.now());
    reachable({}).catch(function () {});
  }

  // ------------------------------------------------------------------ on these pages
  // Everything is drawn inside a shadow, so that neither the shop's style nor ours reaches the other, and from text
  // alone: nothing that came from the network is ever read as HTML. Banners and pop-ins lie above the page, slots fill
  // room the page has kept for them, so nothing that is already there moves.
  var STYLE = ":host{all:initial;font-family:inherit}*{box-sizing:border-box}.b{font-size:16px;line-height:1.45;font-family:inherit;color:#221f1a;background:#fffdf9;text-align:start}" +
    ".banner{position:fixed;left:0;right:0;z-index:2147483000;display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;justify-content:center;padding:12px 60px 12px 16px;box-shadow:0 0 24px rgba(34,31,26,.18)}" +
    ".top{top:0}.bottom{bottom:0}dialog{border:0;padding:28px;border-radius:14px;max-width:min(440px,calc(100vw - 32px));max-height:calc(100vh - 48px);overflow:auto;box-shadow:0 24px 80px rgba(34,31,26,.35)}" +
    "dialog::backdrop{background:rgba(34,31,26,.5)}.slot{display:block;padding:16px;border-radius:12px;height:100%;overflow:auto;position:relative}" +
    "h2{font-weight:600;font-size:20px;line-height:1.3;margin:0;padding-right:24px}.banner h2{font-size:16px;padding:0}p{margin:6px 0 0;white-space:pre-line}.banner p{margin:0}img{max-width:100%;height:auto;border-radius:8px;display:block}" +
    ".banner>img{height:40px;width:auto}dialog>img{display:block;width:100%;max-height:240px;object-fit:cover;margin-bottom:16px}a,button{font-family:inherit}.go{display:inline-block;font-weight:600;font-size:15px;line-height:1;padding:14px 18px;border:0;border-radius:8px;background:#221f1a;color:#fffdf9;text-decoration:none;cursor:pointer}" +
    "dialog .go,.slot .go{margin-top:16px}.x{position:absolute;top:8px;right:8px;width:44px;height:44px;border:0;background:none;font-size:26px;line-height:1;cursor:pointer;color:inherit;border-radius:8px}.banner .x{top:50%;transform:translateY(-50%)}" +
    "ul{list-style:none;margin:14px 0 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(120px,1fr));gap:12px}li a{color:inherit;text-decoration:none;display:block;font-size:14px}li img{aspect-ratio:1;object-fit:contain;width:100%;background:#f4efe6;margin-bottom:6px}li i{display:block;aspect-ratio:1;background:#f4efe6;border-radius:8px;margin-bottom:6px}li b{display:block;font-weight:600}" +
    ":focus-visible{outline:3px solid #2b6cb0;outline-offset:2px}@media(max-width:640px){.banner{display:block}.banner .go{margin-top:8px}}@media(prefers-color-scheme:dark){.b{background:#26231e;color:#f4efe6}.go{background:#f4efe6;color:#221f1a}li img,li i{background:#35312a}}" +
    "@media(prefers-reduced-motion:no-preference){.banner,dialog[open]{animation:in .25s ease-out}}@keyframes in{from{opacity:0}}";
  var drawn = [], waiting = [];

  function element(tag, attributes, children) {
    var made = document.createElement(tag);
    Object.keys(attributes || {}).forEach(function (name) {
      if (name === "text") made.textContent = attributes.text;
      else if (attributes[name] || attributes[name] === "") made.setAttribute(name, attributes[name]);
    });
    (children || []).forEach(function (child) { if (child) made.appendChild(child); });
    return made;
  }
  function web(url) { return /^https?:\/\//i.test(url || "") ? url : null; }
  // A picture that does not come leaves its place to another thing, or goes.
  function picture(url, other, attributes) {
    if (!web(url)) return null;
    var made = element("img", attributes);
    made.alt = "";
    made.addEventListener("error", function () { made.replaceWith(other); });
    made.src = url;
    return made;
  }
  function kept(block) {
    var all = readKept(BLOCKS) || {};
    return all[block.name || block.message_id] || { n: [], closed: 0 };
  }
  function worn(block) {
    var seen = kept(block), now = Date.now();
    var since = now - block.cap.days * DAY * 1000;
    var lately = seen.n.filter(function (at) { return at > since; }).length;
    return lately >= block.cap.times || seen.closed > now - block.cap.closed_days * DAY * 1000;
  }
  function tell(block, what) {
    if (block.preview) return;
    var all = readKept(BLOCKS) || {}, seen = kept(block);
    if (what === "shown") seen.n = seen.n.concat(Date.now()).slice(-100);
    if (what === "closed") seen.closed = Date.now();
    all[block.name || block.message_id] = seen;
    keep(BLOCKS, all);
    var told = { what: what, anonymous: anonymousId() };
    if (block.message_id) told.message_id = block.message_id; else told.name = block.name;
    post("/v1/onsite/told", told).catch(function () {});
  }
  function clear() {
    waiting.forEach(function (cancel) { cancel(); });
    waiting = [];
    drawn.forEach(function (one) { one.remove(); });
    drawn = [];
  }
  function products(block) {
    if (!block.products || !block.products.length) return null;
    return element("ul", {}, block.products.map(function (item) {
      var inner = [picture(item.image_url, element("i"), { width: "120", height: "120", loading: "lazy" }),
        element("span", { text: item.title }), element("b", { text: item.price })];
      var link = element(web(item.url) ? "a" : "span", { href: web(item.url), title: item.reason }, inner);
      link.addEventListener("click", function () {
        track("Product Clicked", { product_id: item.product_id, slate_id: block.slate_id, name: item.title });
        tell(block, "clicked");
      });
      return element("li", {}, [link]);
    }));
  }
  function action(block, close) {
    if (!block.button) return null;
    var notify = block.action === "notify";
    var made = element(notify ? "button" : "a", { "class": "go", text: block.button, href: notify ? null : web(block.url), type: notify ? "button" : null });
    made.addEventListener("click", function () {
      tell(block, "clicked");
      if (!notify) return;
      ask({ text: block.heading + "\n" + block.text, form: "onsite:" + block.name }).catch(function () {});
      close();
    });
    return made;
  }
  function show(block, place) {
    if (block.form === "slot" && !place) place = document.querySelector('[data-relance-slot="' + block.slot + '"]');
    if (block.form === "slot" && !place) return;
    var dialog = block.form === "popin";
    var holder = element("div", { "data-relance": block.form });
    var inside = holder.attachShadow({ mode: "open" });
    try {
      var sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
      inside.adoptedStyleSheets = [sheet];
    } catch (old) { inside.appendChild(element("style", { text: STYLE })); }
    function gone() {
      if (dialog && box.open) box.close();
      holder.remove();
    }
    function close() {
      tell(block, "closed");
      gone();
    }
    var shut = block.form === "slot" ? null : element("button", { "class": "x", type: "button", "aria-label": block.close, text: "×" });
    if (shut) shut.addEventListener("click", close);
    var heading = element("h2", { id: "h", text: block.heading });
    var text = block.text ? element("p", { text: block.text }) : null;
    var image = picture(block.image, "", {});
    var box = element(dialog ? "dialog" : "section", { "class": "b " + block.form + " " + block.position, "aria-labelledby": "h" },
      [image, heading, text, products(block), action(block, gone), shut]);
    if (!dialog && block.form === "banner") box.setAttribute("aria-live", "polite");
    inside.appendChild(box);
    (place || document.body).appendChild(holder);
    drawn.push(holder);
    if (dialog) {
      box.addEventListener("cancel", function (event) { event.preventDefault(); close(); });
      box.addEventListener("click", function (event) { if (event.target === box) close(); });
      box.showModal(); // keeps the focus inside, and gives it back to where it was
    }
    tell(block, "shown");
    return holder;
  }
  function views() {
    try {
      var n = Number(sessionStorage.getItem(VIEWS) || 0) + 1;
      sessionStorage.setItem(VIEWS, n);
      return n;
    } catch (forbidden) { return 1; }
  }
  // Shown once every condition of its moment holds; a page that is left first never shows it.
  function await_(block, seen) {
    var moment = block.moment || {};
    if (worn(block) || seen < (moment.page_views || 1)) return;
    var left = 1, done = false;
    function ready() {
      left -= 1;
      if (left || done) return;
      done = true;
      if (allowed() && !worn(block)) show(block);
    }
    function on(target, name, fulfilled) {
      left += 1;
      function look(event) {
        if (!fulfilled(event)) return;
        target.removeEventListener(name, look);
        ready();
      }
      target.addEventListener(name, look, { passive: true });
      waiting.push(function () { target.removeEventListener(name, look); });
    }
    if (moment.after_seconds) {
      left += 1;
      var clock = setTimeout(ready, moment.after_seconds * 1000);
      waiting.push(function () { clearTimeout(clock); });
    }
    if (moment.scrolled) on(window, "scroll", function () {
      var room = document.documentElement.scrollHeight - innerHeight;
      return room <= 0 || (scrollY / room) * 100 >= moment.scrolled;
    });
    if (moment.leaving) on(document, "mouseout", function (event) { return !event.relatedTarget && event.clientY <= 0; });
    ready();
  }
  function onsite() {
    if (!allowed() || said.onsite === "off" || !writeKey) return Promise.resolve();
    clear();
    var seen = views();
    var query = new URLSearchParams({ anonymous: anonymousId(), page: location.href.slice(0, 2000), locale: (document.documentElement.lang || "en").slice(0, 12) });
    return call("/v1/onsite?" + query).then(function (due) {
      due.blocks.forEach(function (block) { await_(block, seen); });
    }).catch(function () {});
  }

  // ------------------------------------------------------------------ beginnings and ends
  function begin() {
    schedule(0);
    stillThere();
    if (document.readyState === "loading") addEventListener("DOMContentLoaded", onsite);
    else onsite();
  }
  function followAddress() {
    var at = location.pathname + location.search;
    function moved() {
      setTimeout(function () {
        if (location.pathname + location.search === at) return;
        at = location.pathname + location.search;
        page();
        onsite();
      }, 0);
    }
    ["pushState", "replaceState"].forEach(function (name) {
      var inner = history[name];
      history[name] = function () {
        var answer = inner.apply(history, arguments);
        moved();
        return answer;
      };
    });
    addEventListener("popstate", moved);
  }

  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", function () { if (document.visibilityState === "hidden") leave(); });
  addEventListener("online", flush);
  function later(one) { if (typeof relance[one[0]] === "function") relance[one[0]].apply(null, one.slice(1)); }
  var notify = Object.assign(function (one) { later(one); }, { state: state, ask: ask, stop: stop });
  var relance = {
    consent: consent, page: page, track: track, identify: identify, group: group, alias: alias, reset: forget,
    anonymousId: anonymousId, userId: userId, recommend: recommend, flush: flush,
    onsite: onsite, push: notify, show: show
  };
  window.relance = relance;
  early.forEach(later);
  if (said.consent === "google") followGoogle();
  if (said.consent === "tcf") followTcf(40);
  if (allowed()) begin();
  if ("spa" in said) followAddress();
})();
