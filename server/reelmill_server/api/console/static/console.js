"use strict";
// What htmx does not do: say whether the page is live, copy, show a list as soon as its filter changes, and follow links in rows.
const connection = document.getElementById("connection");
const say = (text) => { if (connection.textContent !== text) connection.textContent = text; };
document.addEventListener("htmx:sseOpen", () => say("live"));
document.addEventListener("htmx:sseError", () => say("reconnecting…"));
document.addEventListener("htmx:sseClose", () => say(""));
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-submits]");
  if (form) form.requestSubmit();
});
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});
// The rows of running tasks are replaced every second, and a link that is replaced while it is pressed gets no click.
let pressed = null;
document.addEventListener("mousedown", (event) => { pressed = event.target.closest("a[id]"); });
document.addEventListener("mouseup", (event) => {
  const link = event.target.closest("a[id]");
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (plain && link && pressed && pressed.id === link.id && !pressed.isConnected) link.click();
});
