// A picture that does not come, is none, or stands nowhere, gives its place to a calm drawing, never to the browser's
// torn page. The drawing is a part of this file, so that it cannot fail in its turn.
"use strict";

const DRAWING =
  "data:image/svg+xml," +
  encodeURIComponent(
    '<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24" fill="none" stroke="#8d8375" stroke-width="1.5" ' +
      'stroke-linecap="round" stroke-linejoin="round"><rect x="3" y="3" width="18" height="18" rx="2"/>' +
      '<circle cx="9" cy="9" r="2"/><path d="m21 15-3.1-3.1a2 2 0 0 0-2.8 0L6 21"/></svg>',
  );

function standIn(picture) {
  if (picture.classList.contains("gone")) return;
  picture.classList.add("gone");
  picture.src = DRAWING;
}

// The event does not bubble, but it is captured; what failed before this script ran is asked for.
document.addEventListener("error", (event) => event.target instanceof HTMLImageElement && standIn(event.target), true);
for (const picture of document.images) {
  if (picture.complete && !picture.naturalWidth && picture.getAttribute("src")) picture.src = picture.getAttribute("src");
}
