// The camera reads a card or a code: by the browser itself where it can, as on Android, else by a reader of ours, which
// is fetched when somebody first scans. The field is there for all others.
"use strict";

const opener = document.querySelector("[data-scan]");
const eye = document.querySelector("[data-eye]");
const blind = document.querySelector("[data-blind]");
const field = document.getElementById("q");
const FORMATS = {
  code_128: "Code128", ean_13: "EAN13", ean_8: "EAN8", qr_code: "QRCode", code_39: "Code39", itf: "ITF", upc_a: "UPCA",
};
const WIDEST = 1280;

async function reader() {
  const known = "BarcodeDetector" in window ? await BarcodeDetector.getSupportedFormats() : [];
  if (!known.includes("code_128")) return ours();
  const detector = new BarcodeDetector({ formats: Object.keys(FORMATS).filter((one) => known.includes(one)) });
  return async () => (await detector.detect(eye))[0]?.rawValue;
}

async function ours() {
  if (!window.ZXingWASM) await fetched(eye.dataset.reader);
  await ZXingWASM.prepareZXingModule({ overrides: { locateFile: () => eye.dataset.program }, fireImmediately: true });
  const canvas = document.createElement("canvas");
  const paper = canvas.getContext("2d", { willReadFrequently: true });
  return async () => {
    const scale = Math.min(1, WIDEST / eye.videoWidth);
    canvas.width = eye.videoWidth * scale;
    canvas.height = eye.videoHeight * scale;
    paper.drawImage(eye, 0, 0, canvas.width, canvas.height);
    const seen = paper.getImageData(0, 0, canvas.width, canvas.height);
    return (await ZXingWASM.readBarcodes(seen, { formats: Object.values(FORMATS), maxNumberOfSymbols: 1 }))[0]?.text;
  };
}

function fetched(address) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.addEventListener("load", done);
    script.addEventListener("error", failed);
    script.src = address;
    document.head.append(script);
  });
}

async function look() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  try {
    eye.srcObject = stream;
    eye.hidden = false;
    await eye.play();
    const read = await reader();
    field.value = await first(read);
    field.form.requestSubmit();
  } finally {
    stream.getTracks().forEach((track) => track.stop());
  }
}

async function first(read) {
  for (;;) {
    const text = await read();
    if (text) return text;
    await new Promise(requestAnimationFrame);
  }
}

function offered() {
  opener.hidden = false;
  opener.addEventListener("click", () => {
    opener.disabled = true;
    blind.hidden = true;
    look().catch(() => {
      eye.hidden = true;
      blind.hidden = false;
      field.focus();
    }).finally(() => { opener.disabled = false; });
  });
}

// Where nothing can see, nothing is offered.
navigator.mediaDevices?.enumerateDevices().then((all) => {
  if (all.some((one) => one.kind === "videoinput")) offered();
});
