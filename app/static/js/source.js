// The source of a message: numbers that follow the text, and a fault that leads to its line.
"use strict";

const source = document.getElementById("source");
const lines = document.querySelector(".source-lines");

source.addEventListener("scroll", () => (lines.scrollTop = source.scrollTop));
source.addEventListener("input", () => {
  const wanted = source.value.split("\n").length;
  while (lines.children.length < wanted) {
    const line = document.createElement("span");
    line.textContent = lines.children.length + 1;
    lines.append(line, "\n");
  }
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-line]");
  if (!link) return;
  event.preventDefault();
  const before = source.value.split("\n").slice(0, Number(link.dataset.line) - 1).join("\n");
  const at = before.length + (before ? 1 : 0);
  const end = source.value.indexOf("\n", at);
  source.focus();
  source.setSelectionRange(at, end < 0 ? source.value.length : end);
  source.scrollTop = (Number(link.dataset.line) - 5) * parseFloat(getComputedStyle(source).lineHeight);
});
