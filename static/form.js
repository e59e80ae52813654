// Does the work that the form asks for (ALTCHA, version 2), while its reader types. Without it the form works all the same,
// within stricter limits.
(() => {
  "use strict";
  const summary = document.getElementById("summary");
  if (summary) summary.focus();
  const form = document.getElementById("report");
  const field = form && form.elements.namedItem("work");
  if (!field || !field.dataset.challenge || !window.crypto || !crypto.subtle) return;

  const bytes = (hex) => Uint8Array.from(hex.match(/../g) || [], (pair) => parseInt(pair, 16));
  const hex = (buffer) => Array.from(new Uint8Array(buffer), (byte) => byte.toString(16).padStart(2, "0")).join("");

  const solve = async (challenge) => {
    const asked = challenge.parameters;
    const nonce = bytes(asked.nonce);
    const salt = bytes(asked.salt);
    const password = new Uint8Array(nonce.length + 4);
    password.set(nonce);
    const place = new DataView(password.buffer);
    for (let counter = 0; counter < 0xffffffff; counter += 1) {
      place.setUint32(nonce.length, counter);
      const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
      const how = { name: "PBKDF2", hash: "SHA-256", salt, iterations: asked.cost };
      const derived = hex(await crypto.subtle.deriveBits(how, key, asked.keyLength * 8));
      if (derived.startsWith(asked.keyPrefix)) {
        field.value = JSON.stringify({ challenge, solution: { counter, derivedKey: derived } });
        return;
      }
    }
  };

  let challenge;
  try {
    challenge = JSON.parse(field.dataset.challenge);
  } catch {
    return;
  }
  const working = solve(challenge).catch(() => {});
  // Whoever is faster than the work waits for it, a few seconds at most.
  let isSent = false;
  form.addEventListener("submit", (event) => {
    if (isSent) {
      event.preventDefault();
      return;
    }
    isSent = true;
    if (field.value) return;
    event.preventDefault();
    const patience = new Promise((resolve) => setTimeout(resolve, 4000));
    Promise.race([working, patience]).then(() => form.submit());
  });
  // Coming back with the back button: the page is as it was, and may be sent again.
  window.addEventListener("pageshow", () => {
    isSent = false;
  });
})();
