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

  // The browser changed its address by itself: the new one is told, under the same anonymous id if a page still has it.
  self.addEventListener("pushsubscriptionchange", function (event) {
    var old = event.oldSubscription;
    var options = old && old.options;
    if (!options) return;
    event.waitUntil(self.registration.pushManager.subscribe(options).then(function () {
      return old && fetch(host + "/v1/push/subscriptions", {
        method: "DELETE",
        body: JSON.stringify({ endpoint: old.endpoint }),
        headers: { Authorization: "Bearer " + key, "Content-Type": "application/json" },
        credentials: "omit"
      });
    }).catch(function () {}));
  });
})();
