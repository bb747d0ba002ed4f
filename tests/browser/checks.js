// What WCAG 2.2 AA asks and a program can see: names, labels, landmarks, headings, ids, contrast. Answers a list of faults.
const faults = [];
const seen = (element) => {
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  return style.visibility !== "hidden" && style.display !== "none" && box.width > 1 && box.height > 1;
};
const where = (element) => {
  const id = element.id ? `#${element.id}` : "";
  const kind = typeof element.className === "string" && element.className ? `.${element.className.trim().split(/\s+/)[0]}` : "";
  return `${element.tagName.toLowerCase()}${id}${kind} \u201c${(element.textContent || "").trim().slice(0, 40)}\u201d`;
};
const fault = (rule, element) => faults.push(`${rule}: ${element ? where(element) : "page"}`);

if (!document.documentElement.lang) fault("3.1.1 no language");
if (!document.title.trim()) fault("2.4.2 no title");
if (document.querySelectorAll("main").length !== 1) fault("1.3.1 not one main landmark");
if (document.querySelectorAll("h1").length !== 1) fault("1.3.1 not one h1");
let level = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4")) {
  if (!seen(heading)) continue;
  const now = Number(heading.tagName[1]);
  if (now > level + 1) fault("1.3.1 a level of headings is left out", heading);
  level = now;
}
const ids = new Set();
for (const element of document.querySelectorAll("[id]")) {
  if (ids.has(element.id)) fault("4.1.1 an id twice", element);
  ids.add(element.id);
}
for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
  const named = `${element.getAttribute("aria-labelledby") || ""} ${element.getAttribute("aria-describedby") || ""}`;
  for (const id of named.trim().split(/\s+/)) if (!document.getElementById(id)) fault(`4.1.2 names ${id}, which is not there`, element);
}
const named = (element) =>
  (element.getAttribute("aria-label") || "").trim() || element.getAttribute("aria-labelledby") ||
  (element.textContent || "").trim() || (element.title || "").trim();
for (const element of document.querySelectorAll("a[href], button, summary")) if (!named(element)) fault("4.1.2 no name", element);
for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  const label = field.labels && field.labels.length > 0 && field.labels[0].textContent.trim();
  if (!label && !field.getAttribute("aria-label")) fault("3.3.2 no label", field);
}
for (const picture of document.querySelectorAll("svg")) {
  const hidden = picture.closest("[aria-hidden=true]");
  const spoken = picture.getAttribute("aria-label") || picture.getAttribute("aria-labelledby");
  if (!hidden && !(picture.getAttribute("role") === "img" && spoken)) fault("1.1.1 a picture without words", picture);
}
for (const table of document.querySelectorAll("table")) {
  if (!table.querySelector("caption")) fault("1.3.1 a table without a caption", table);
  for (const head of table.querySelectorAll("th")) if (!head.scope) fault("1.3.1 a head cell without scope", head);
}
for (const list of document.querySelectorAll("ul, ol")) {
  for (const child of list.children) if (child.tagName !== "LI") fault("1.3.1 no item in a list", child);
}
for (const scroller of document.querySelectorAll("*")) {
  const style = getComputedStyle(scroller);
  const scrolls = /(auto|scroll)/.test(style.overflowX) && scroller.scrollWidth > scroller.clientWidth + 1;
  if (scrolls && scroller.tabIndex < 0) fault("2.1.1 scrolls, and not by key", scroller);
}
if (document.documentElement.scrollWidth > innerWidth + 1) fault("1.4.10 the page scrolls sideways");
for (const target of document.querySelectorAll("a[href], button, summary, input:not([type=hidden]), select")) {
  if (!seen(target) || target.closest("p, li, td, dd, label")) continue;
  const box = target.getBoundingClientRect();
  if (box.height < 24 && box.width < 24) fault(`2.5.8 smaller than 24 by 24 (${Math.round(box.width)}x${Math.round(box.height)})`, target);
}
const colour = (text) => {
  const parts = (text.match(/[\d.]+/g) || []).map(Number);
  return parts.length < 3 ? [0, 0, 0, 0] : [parts[0], parts[1], parts[2], parts.length > 3 ? parts[3] : 1];
};
const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
const ground = (element) => {
  let found = [0, 0, 0, 0];
  for (let at = element; at; at = at.parentElement) {
    const here = colour(getComputedStyle(at).backgroundColor);
    found = found[3] === 0 ? here : found[3] < 1 && here[3] > 0 ? over(found, here) : found;
    if (found[3] === 1) return found;
  }
  return found[3] > 0 ? over(found, [255, 255, 255, 1]) : [255, 255, 255, 1];
};
const light = (rgb) => {
  const part = (value) => { const share = value / 255; return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * part(rgb[0]) + 0.7152 * part(rgb[1]) + 0.0722 * part(rgb[2]);
};
const contrast = (a, b) => { const [high, low] = [light(a), light(b)].sort((x, y) => y - x); return (high + 0.05) / (low + 0.05); };
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const told = new Set();
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.data.trim() || !element || !seen(element) || element.closest("option, script, .off, .skip, dialog:not([open]), title, desc")) continue;
  const style = getComputedStyle(element);
  const isDrawn = Boolean(element.closest("svg"));
  const ink = colour(isDrawn ? style.fill : style.color);
  const paper = ground(element.closest("svg") || element);
  const size = parseFloat(style.fontSize);
  const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  const found = contrast(over(ink, paper), paper);
  const key = `${ink}/${paper}/${least}`;
  if (found < least && !told.has(key)) {
    told.add(key);
    fault(`1.4.3 contrast ${found.toFixed(2)} below ${least}`, element);
  }
}
return faults;
