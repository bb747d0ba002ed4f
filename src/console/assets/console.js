// What a page does by itself: ages that count, rows that come by server-sent events, keys. Everything works without it.
"use strict";
(() => {
  const lang = document.documentElement.lang;
  const units = lang === "da" ? [["d", 86400], ["t", 3600], ["min", 60], ["s", 1]] : [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const span = (seconds) => {
    let left = Math.max(0, Math.floor(seconds));
    const first = Math.max(0, units.findIndex(([, size]) => left >= size));
    const at = left === 0 ? 3 : first;
    const parts = [];
    for (const [name, size] of units.slice(at, at + 2)) {
      const count = Math.floor(left / size);
      left %= size;
      if (count > 0 || parts.length === 0) parts.push(`${count}\u00a0${name}`);
    }
    return parts.join(" ");
  };
  const tick = () => {
    for (const age of document.querySelectorAll("time.age")) {
      age.textContent = span((Date.now() - Number(age.dataset.since)) / 1000);
    }
  };
  tick();
  setInterval(tick, 1000);

  // Rows are replaced as the server writes them; focus stays where it was.
  const rows = document.getElementById("rows");
  const live = document.getElementById("live");
  const keyOf = (row) => row.dataset.key;
  let due = 0;
  const fetchRows = async () => {
    due = 0;
    const answer = await fetch(rows.dataset.live, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) return;
    const text = await answer.text();
    const known = new Set([...rows.querySelectorAll(".row")].map(keyOf));
    const focused = document.activeElement && document.activeElement.closest("#rows .row");
    const key = focused && keyOf(focused);
    rows.innerHTML = text;
    tick();
    for (const row of rows.querySelectorAll(".row")) {
      if (!known.has(keyOf(row))) row.classList.add("new");
      if (key && keyOf(row) === key) row.querySelector("a.open").focus({ preventScroll: true });
    }
    if (live) live.textContent = live.dataset.news;
  };
  if (rows && "EventSource" in window) {
    const source = new EventSource("/console/events");
    const soon = () => {
      if (!due) due = setTimeout(() => fetchRows().catch(() => {}), 400);
    };
    source.addEventListener("hello", soon);
    source.addEventListener("news", soon);
    // The session has ended: the log-in page is next.
    source.addEventListener("over", () => location.reload());
    window.addEventListener("pagehide", () => source.close());
  }

  // Keys: never while something is being written.
  const list = document.getElementById("keys-list");
  const help = () => { if (list && !list.open) list.showModal(); };
  const button = document.getElementById("keys");
  if (button) button.addEventListener("click", help);
  const move = (step) => {
    const links = [...document.querySelectorAll("#rows a.open")];
    if (links.length === 0) return;
    const here = links.indexOf(document.activeElement);
    const next = here < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, here + step));
    links[next].focus();
    links[next].scrollIntoView({ block: "nearest" });
  };
  const pages = { 1: "/console/queue", 2: "/console/overview", 3: "/console/rules", 4: "/console/health" };
  document.addEventListener("keydown", (event) => {
    const to = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to.closest("input, textarea, select, dialog") || !button) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") help();
    else if (event.key === "/") {
      const search = document.getElementById("q");
      if (search) search.focus(); else location.assign("/console/queue");
    } else if (pages[event.key]) location.assign(pages[event.key]);
    else return;
    event.preventDefault();
  });
})();
