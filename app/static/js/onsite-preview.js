/* Draws the block of this page with the tracker's own hand; nothing is told to anybody. */
(function () {
  "use strict";
  var block = JSON.parse(document.body.dataset.block);
  block.preview = true;
  window.relance.show(block, block.form === "slot" ? document.getElementById("place") : undefined);
})();
