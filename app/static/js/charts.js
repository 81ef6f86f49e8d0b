// A chart as a picture: the drawing is copied with the colours it has on this page, painted, and handed over as PNG.
"use strict";

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

function painted(drawing, name) {
  const { text, width, height } = copied(drawing);
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
