"use strict";
const shown = document.body.dataset.version;
const state = document.getElementById("state");
const following = state.textContent;

async function look() {
  if (!document.hidden) {
    try {
      const answer = await fetch("version");
      if (answer.ok && (await answer.text()) !== shown) return location.reload();
      tell(answer.ok);
    } catch {
      tell(false);
    }
  }
  clearTimeout(next);
  next = setTimeout(look, 1000);
}

function tell(running) {
  document.body.classList.toggle("stopped", !running);
  const words = running ? following : "The preview has stopped. Start it again: weekbrief preview";
  if (state.textContent !== words) state.textContent = words;
}

document.addEventListener("visibilitychange", look);
let next = setTimeout(look, 1000);
