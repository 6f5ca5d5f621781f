"use strict";

const STEP = 100;
const { columns, rows } = JSON.parse(document.getElementById("data").textContent);
const table = document.getElementById("table");
const filter = document.getElementById("filter");
const more = document.getElementById("more");
const body = document.createElement("tbody");
const state = { key: 0, sign: 1, shown: STEP, found: rows };

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawHead() {
  const line = element("tr");
  columns.forEach((column, key) => {
    const cell = element("th", undefined, column.numeric ? "number" : "");
    const button = element("button", column.name);
    button.type = "button";
    button.addEventListener("click", () => sortBy(key));
    cell.scope = "col";
    cell.append(button);
    line.append(cell);
  });
  const head = element("thead");
  head.append(line);
  table.replaceChildren(head, body);
}

function drawBody() {
  const lines = state.found.slice(0, state.shown).map((row) => {
    const line = element("tr");
    row.forEach((value, key) => {
      const text = value === null ? "" : String(value);
      const cell = element("td", text, columns[key].numeric ? "number" : "");
      if (text.length > 30) cell.title = text;
      line.append(cell);
    });
    return line;
  });
  body.replaceChildren(...lines);
  const left = state.found.length - lines.length;
  more.hidden = left <= 0;
  more.textContent = `show ${Math.min(STEP, left)} more of ${left}`;
  document.getElementById("count").textContent =
    state.found.length === rows.length ? "" : `${state.found.length} of ${rows.length}`;
  table.querySelectorAll("th").forEach((cell, key) => {
    if (key !== state.key) cell.removeAttribute("aria-sort");
    else cell.setAttribute("aria-sort", state.sign > 0 ? "ascending" : "descending");
  });
}

// Missing values are last, whichever way.
function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return state.sign * (a - b);
  return state.sign * String(a).localeCompare(String(b), undefined, { numeric: true });
}

function sortBy(key) {
  state.sign = state.key === key ? -state.sign : 1;
  state.key = key;
  update();
}

// "units=64", "learning_rate<0.01" or a word; null for a column that is not there.
function condition(term) {
  const parts = /^([^<>=]+)(<=|>=|<|>|=)(.+)$/.exec(term);
  if (!parts) {
    const word = term.toLowerCase();
    return (row) =>
      row.some((v) => v !== null && String(v).toLowerCase().includes(word));
  }
  const [, name, sign, text] = parts;
  const key = columns.findIndex((c) => c.name.toLowerCase() === name.toLowerCase());
  if (key < 0) return null;
  const number = Number(text);
  if (sign === "=") {
    return (row) => String(row[key]).toLowerCase() === text.toLowerCase()
      || (typeof row[key] === "number" && row[key] === number);
  }
  if (Number.isNaN(number)) return null;
  const holds = {
    "<": (v) => v < number, ">": (v) => v > number,
    "<=": (v) => v <= number, ">=": (v) => v >= number,
  }[sign];
  return (row) => typeof row[key] === "number" && holds(row[key]);
}

function update() {
  const terms = filter.value.trim().split(/\s+/).filter(Boolean);
  const conditions = terms.map(condition);
  const known = conditions.filter(Boolean);
  filter.classList.toggle("wrong", known.length < conditions.length);
  state.found = rows
    .filter((row) => known.every((holds) => holds(row)))
    .sort((a, b) => compare(a[state.key], b[state.key]));
  drawBody();
}

filter.form.addEventListener("submit", (event) => event.preventDefault());
filter.addEventListener("input", () => { state.shown = STEP; update(); });
more.addEventListener("click", () => { state.shown += STEP; drawBody(); });
document.querySelectorAll("button[data-copy]").forEach((button) => {
  button.addEventListener("click", () => {
    const source = document.getElementById(button.dataset.copy);
    const marked = document.createRange();
    marked.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(marked);
    // Pages opened from a file have no navigator.clipboard in every browser.
    button.textContent = document.execCommand("copy") ? "copied" : "marked";
  });
});
drawHead();
update();
