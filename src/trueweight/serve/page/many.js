"use strict";
/* Many rows: streamed in, streamed out, kept as a file. */
const SHOWN = 5;

async function answerMany() {
  if (state.many || !state.facts) return;
  notice("");
  const asked = await gathered([...at("many-file").files], at("many-text").value);
  if (!asked) { notice(word("noRows")); return; }
  const stop = state.many = new AbortController();
  at("many-stop").hidden = at("many-progress").hidden = false;
  at("many-go").disabled = true;
  at("many-download").replaceChildren();
  at("many-first").replaceChildren();
  let pieces = [];
  try {
    pieces = await sentThrough(asked, stop.signal);
  } catch (error) {
    if (error.name === "AbortError") at("many-said").textContent += ` · ${word("stopped")}`;
    else complain(error instanceof Refusal ? error : new Refusal(word("broken"), 0, error.message));
    pieces = asked.pieces;
  }
  if (state.many === stop) state.many = null;
  at("many-stop").hidden = true;
  at("many-go").disabled = false;
  if (pieces.length) offer(await new Blob(pieces).text(), asked);
}

/* What is asked: one body, how many rows it has, and what they are called */
async function gathered(files, pasted) {
  const media = Object.entries(state.facts.features).filter(([, type]) => type === "image" || type === "audio");
  if (files.length && files.every((file) => /^(image|audio)\//.test(file.type))) {
    const fits = media.find(([, type]) => files.every((file) => file.type.startsWith(type)));
    if (!fits) throw new Refusal(word("noMediaColumn"), 0);
    const lines = [];
    for (const file of files) lines.push(JSON.stringify({ [fits[0]]: await readFile(file) }) + "\n");
    return { body: new Blob(lines), lines: true, total: files.length, names: files.map((file) => file.name), pieces: [] };
  }
  if (files.length > 1) throw new Refusal(word("oneFile"), 0);
  const body = files[0] || (pasted.trim() ? new Blob([pasted]) : null);
  if (!body) return null;
  const lines = files[0] ? /\.(jsonl|ndjson)$/i.test(files[0].name) : pasted.trimStart().startsWith("{");
  const rows = (await countRows(body, lines)) - (lines ? 0 : 1);
  return rows > 0 ? { body, lines, total: rows, names: null, pieces: [] } : null;
}
async function countRows(blob, lines) {
  /* Line ends, those within quotes left out. */
  let found = 0, quoted = false, last = 10;
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return found + (last === 10 ? 0 : 1);
    for (const byte of value) {
      if (byte === 34 && !lines) quoted = !quoted;
      if (byte === 10 && !quoted && last !== 10) found += 1;
      if (byte !== 13) last = byte;
    }
  }
}
async function sentThrough(asked, signal) {
  const kind = asked.lines ? "application/x-ndjson" : "text/csv";
  const reply = await call(modelPath("/predict?stream=true"), post(asked.body, signal, kind));
  const reader = reply.body.getReader();
  let rows = asked.lines ? 0 : -1, quoted = false, told = 0;
  const tell = () => {
    at("many-progress").value = Math.min(1, rows / asked.total);
    at("many-said").textContent = word("rowsOf", count(Math.max(0, rows)), count(asked.total));
  };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    asked.pieces.push(value);
    for (const byte of value) {
      if (byte === 34 && !asked.lines) quoted = !quoted;
      if (byte === 10 && !quoted) rows += 1;
    }
    if (performance.now() - told > 500) { told = performance.now(); tell(); } // not so often that nobody can listen
  }
  tell();
  return asked.pieces;
}

/* What comes back: a file, and its first rows */
function offer(text, asked) {
  const broken = asked.lines ? text.trimEnd().split("\n").pop() : "";
  if (broken.startsWith('{"error":')) {
    const { error } = JSON.parse(broken), refused = refusalOf(error, error.status);
    notice(`${word("broken")} ${refused.message}`, refused.own);
    text = text.slice(0, text.lastIndexOf(broken));
  }
  if (asked.names) text = named(text, asked.names);
  const lines = asked.lines && !asked.names, name = `${state.model}-answers.${lines ? "jsonl" : "csv"}`;
  const address = URL.createObjectURL(new Blob([text]));
  at("many-download").replaceChildren(el("a", { href: address, download: name }, `${word("download")} (${name})`));
  const rows = lines ? firstObjects(text) : firstCells(text);
  if (rows.length > 1) at("many-first").replaceChildren(el("h3", {}, word("first")), drawRows(rows));
}
function named(text, names) {
  /* Answers to files: a table that says which answer is whose. */
  const objects = text.trimEnd().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  const head = Object.keys(objects[0] || {}), cell = (value) => {
    const plain = value === null || value === undefined ? "" : Array.isArray(value) ? JSON.stringify(value) : String(value);
    return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  const lines = objects.map((one, place) => [names[place], ...head.map((key) => one[key])].map(cell).join(","));
  return [["file", ...head].map(cell).join(","), ...lines].join("\n") + "\n";
}
function firstObjects(text) {
  const objects = text.split("\n", SHOWN).filter((line) => line.trim()).map((line) => JSON.parse(line));
  const head = Object.keys(objects[0] || {});
  return [head, ...objects.map((one) => head.map((key) => said(one[key])))];
}
function firstCells(text) {
  const rows = [[""]];
  let quoted = false;
  for (const letter of text.slice(0, 50_000)) {
    const row = rows[rows.length - 1];
    if (letter === '"') quoted = !quoted;
    else if (letter === "," && !quoted) row.push("");
    else if (letter === "\n" && !quoted) { if (rows.length > SHOWN) return rows; rows.push([""]); }
    else row[row.length - 1] += letter;
  }
  return rows.filter((row) => row.length > 1 || row[0]);
}
function drawRows([head, ...rows]) {
  const shown = (cell) => /^-?\d+\.\d+(e[-+]?\d+)?$/i.test(cell) ? number(Number(cell)) : cell.slice(0, 200); // whole ones may be names
  const lines = rows.map((row) => el("tr", {}, ...row.map((cell) => el("td", {}, shown(cell)))));
  const table = el("table", { className: "rows" }, el("thead", {}, el("tr", {}, ...head.map((cell) => el("th", { scope: "col" }, cell)))), el("tbody", {}, ...lines));
  return el("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: word("first") }, table);
}
