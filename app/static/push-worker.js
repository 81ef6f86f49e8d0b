/* The service worker of notifications. The shop serves a file of its own at the scope it wants notified, with one line:

     importScripts("https://relance.example.com/push-worker.js");

   It is registered by tracker.js with this installation's address and public key in its own address. It keeps nothing,
   and touches no page: it has no fetch handler. */
(function () {
  "use strict";
  var told = new URLSearchParams(self.location.search);
  var host = told.get("host") || "", key = told.get("key") || "";

  function tell(path, body) {
    return fetch(host + path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { Authorization: "Bearer " + key, "Content-Type": "application/json" },
      credentials: "omit"
    }).catch(function () { /* what it would have said is said again by the next visit */ });
  }
  function seen() {
    return self.registration.pushManager.getSubscription().then(function (subscription) {
      return subscription && tell("/v1/push/seen", { endpoint: subscription.endpoint });
    }).catch(function () {});
  }

  self.addEventListener("install", function () { self.skipWaiting(); });
  self.addEventListener("activate", function (event) { event.waitUntil(self.clients.claim()); });

  self.addEventListener("push", function (event) {
    var note;
    try { note = event.data.json(); } catch (unreadable) { return; }
    var actions = (note.actions || []).map(function (one, n) { return { action: String(n), title: one.title }; });
    event.waitUntil(Promise.all([
      self.registration.showNotification(note.title, {
        body: note.body || "",
        image: note.image,
        actions: actions,
        tag: note.id, // a second copy takes the place of the first
        data: { url: note.url, urls: (note.actions || []).map(function (one) { return one.url; }) }
      }),
      seen()
    ]));
  });

  self.addEventListener("notificationclick", function (event) {
    event.notification.close();
    var data = event.notification.data || {};
    var url = event.action ? (data.urls || [])[Number(event.action)] : data.url;
    event.waitUntil(Promise.all([seen(), url && /^https?:\/\//.test(url) ? self.clients.openWindow(url) : null]));
  });

  // The push service gave this browser another address: we are told the new one, and by the old one whose it is. Where
  // the browser does not say the old one, or the permission is gone, the next visit with the tracker tells.
  function letters(buffer) { return buffer && String.fromCharCode.apply(null, new Uint8Array(buffer)); }
  function anew(manager, publicKey) {
    var raw = atob(publicKey.replace(/-/g, "+").replace(/_/g, "/"));
    return manager.getSubscription().then(function (kept) {
      var same = kept && kept.options && letters(kept.options.applicationServerKey) === raw;
      return kept && !same ? kept.unsubscribe().then(function () { return null; }) : kept;
    }).then(function (kept) {
      var bytes = Uint8Array.from(raw, function (letter) { return letter.charCodeAt(0); });
      return kept || manager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes });
    });
  }
  function moved(old) {
    return fetch(host + "/v1/push/key", { headers: { Authorization: "Bearer " + key }, credentials: "omit" })
      .then(function (answer) { return answer.json(); })
      .then(function (told) { return anew(self.registration.pushManager, told.public_key); })
      .then(function (fresh) {
        return old && tell("/v1/push/subscriptions", { subscription: fresh.toJSON(), replaces: old.endpoint });
      }).catch(function () {});
  }
  self.addEventListener("pushsubscriptionchange", function (event) { event.waitUntil(moved(event.oldSubscription)); });
})();
