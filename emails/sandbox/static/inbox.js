// Shows new messages without a reload: asks for the newest number and fetches the list when it has grown.
"use strict";

const EVERY = 2000;
let newest = document.body.dataset.newest;
const onFirstPage = !new URLSearchParams(location.search).has("before");

async function look() {
  if (!document.hidden && onFirstPage) {
    try {
      const answer = await fetch("/newest");
      const now = await answer.text();
      if (answer.ok && now !== newest) {
        await refresh();
        newest = now;
      }
    } catch {
      document.title = document.title.replace(/^(?!\(stopped\) )/, "(stopped) ");
      return;
    }
  }
  setTimeout(look, EVERY);
}

async function refresh() {
  const answer = await fetch(location.href);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ["lines", "sum", "hint"]) {
    document.getElementById(id)?.replaceWith(page.getElementById(id));
  }
}

document.querySelector("select")?.addEventListener("change", (event) => event.target.form.submit());

setTimeout(look, EVERY);
