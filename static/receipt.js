// Copies, shares and prints a receipt, where the browser can: without this the page is written down.
(() => {
  "use strict";
  const tools = document.getElementById("tools");
  if (!tools) return;
  const code = document.getElementById("receipt-code").textContent.trim();
  const address = new URL(tools.dataset.track, location.href).href;
  const offer = (id, can, act) => {
    const button = document.getElementById(id);
    if (!can) return;
    button.hidden = false;
    button.addEventListener("click", act);
  };
  const said = document.getElementById("copied");
  offer("copy", navigator.clipboard, () =>
    navigator.clipboard.writeText(`${code} ${address}`).then(
      () => (said.textContent = tools.dataset.copied),
      () => {},
    ),
  );
  offer("share", navigator.share, () => navigator.share({ title: document.title, text: code, url: address }).catch(() => {}));
  offer("print", window.print, () => window.print());
})();
