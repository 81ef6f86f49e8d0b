// A chart as a picture: the drawing is copied with the colours it has on this page, painted, and handed over as PNG.
// A table becomes a drawing first: the shade of each cell, each word and each bar where it stands.
"use strict";

{ // stands on every page: its names are its own

const PAINTED = ["fill", "fill-opacity", "opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap",
  "stroke-linejoin", "font-size", "font-weight", "text-anchor"];

function copied(drawing) {
  const copy = drawing.cloneNode(true);
  const [, , width, height] = drawing.getAttribute("viewBox").split(" ").map(Number);
  const theirs = [...drawing.querySelectorAll("*")];
  [...copy.querySelectorAll("*")].forEach((part, n) => {
    const look = getComputedStyle(theirs[n]);
    for (const name of PAINTED) part.setAttribute(name, look.getPropertyValue(name));
    part.setAttribute("font-family", "Inter, system-ui, sans-serif");
    part.removeAttribute("class");
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  copy.removeAttribute("class");
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

const SVG = "http://www.w3.org/2000/svg";

function made(tag, attributes) {
  const part = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
  return part;
}

function words(table, around) {
  const found = [];
  const texts = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    if (node.parentElement.closest("svg, .sr")) continue;
    const look = getComputedStyle(node.parentElement);
    for (const { 0: word, index } of node.data.matchAll(/\S+/g)) {
      const range = document.createRange();
      range.setStart(node, index);
      range.setEnd(node, index + word.length);
      const box = range.getBoundingClientRect();
      const text = made("text", {
        x: box.left - around.left, y: box.top - around.top + 0.8 * box.height, textLength: box.width,
        lengthAdjust: "spacingAndGlyphs", fill: look.color, "font-size": look.fontSize, "font-weight": look.fontWeight,
        "font-family": "Inter, system-ui, sans-serif",
      });
      text.textContent = word;
      found.push(text);
    }
  }
  return found;
}

function shades(table, around) {
  return [...table.querySelectorAll("td")].map((cell) => {
    const { left, top, width, height } = cell.getBoundingClientRect();
    const fill = getComputedStyle(cell).backgroundColor;
    return made("rect", { x: left - around.left, y: top - around.top, width, height, fill });
  });
}

function redrawn(table) {
  const around = table.getBoundingClientRect();
  const { width, height } = around;
  const whole = made("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  whole.append(...shades(table, around));
  for (const drawing of table.querySelectorAll("svg[viewBox]")) {
    const inner = new DOMParser().parseFromString(copied(drawing).text, "image/svg+xml").documentElement;
    const box = drawing.getBoundingClientRect();
    const at = { x: box.left - around.left, y: box.top - around.top, width: box.width, height: box.height };
    for (const [name, value] of Object.entries(at)) inner.setAttribute(name, value);
    whole.append(inner);
  }
  whole.append(...words(table, around));
  return { text: new XMLSerializer().serializeToString(whole), width, height };
}

function painted(drawing, name) {
  const { text, width, height } = drawing instanceof SVGElement ? copied(drawing) : redrawn(drawing);
  const picture = new Image();
  picture.addEventListener("load", () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: width * 2, height: height * 2 });
    const brush = canvas.getContext("2d");
    brush.fillStyle = getComputedStyle(document.body).backgroundColor;
    brush.fillRect(0, 0, canvas.width, canvas.height);
    brush.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const link = Object.assign(document.createElement("a"), { href: canvas.toDataURL("image/png"), download: name });
    link.click();
  });
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-png]");
  if (button) painted(document.getElementById(button.dataset.png), button.dataset.name);
});
}
