// The camera reads a card or a code where the browser can; the field is there for all others.
"use strict";

const opener = document.querySelector("[data-scan]");
const eye = document.querySelector("[data-eye]");
const blind = document.querySelector("[data-blind]");
const field = document.getElementById("q");
const FORMATS = ["code_128", "ean_13", "ean_8", "qr_code", "code_39", "itf", "upc_a"];

async function look() {
  const detector = new BarcodeDetector({ formats: FORMATS });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  eye.srcObject = stream;
  eye.hidden = false;
  await eye.play();
  const read = async () => {
    const [seen] = await detector.detect(eye);
    if (!seen) return requestAnimationFrame(read);
    stream.getTracks().forEach((track) => track.stop());
    field.value = seen.rawValue;
    field.form.requestSubmit();
  };
  requestAnimationFrame(read);
}

if ("BarcodeDetector" in window && navigator.mediaDevices) {
  opener.hidden = false;
  opener.addEventListener("click", () => look().catch(() => { eye.hidden = true; blind.hidden = false; }));
}
