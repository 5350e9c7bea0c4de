"use strict";
// What htmx does not do: say whether the page is live, copy, and show a list as soon as its filter changes.
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
