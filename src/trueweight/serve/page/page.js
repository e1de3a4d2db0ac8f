"use strict";
/* The page for trying models. It asks the server's own interface and keeps nothing but the key, for this tab. */
const at = (id) => document.getElementById(id);
const state = { model: null, facts: null, words: WORDS.en, media: {}, stop: null };

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key in node && key !== "list" && key !== "for") node[key] = value; else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const word = (key) => state.words[key] || key;

/* Asking */
class Refusal extends Error {}
function headers(more) {
  const key = at("key").value.trim();
  return Object.assign(key ? { Authorization: `Bearer ${key}` } : {}, more);
}
async function call(path, options) {
  let reply;
  try { reply = await fetch(path, options); } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(word("networkError"));
  }
  if (reply.ok) return reply;
  let told = {};
  try { told = await reply.json(); } catch { /* no words */ }
  const said = told.detail || (told.error && told.error.message) || reply.statusText;
  throw new Refusal(reply.status === 401 ? `${said}. ${word("needKey")}` : told.hint ? `${said}: ${told.hint}` : said);
}
const modelPath = (rest) => `/v1/models/${encodeURIComponent(state.model)}${rest}`;
function complain(error) { notice(error instanceof Refusal ? error.message : String(error)); }
function notice(text) { at("notice").textContent = text; at("notice").hidden = !text; }

/* Models */
async function loadModels() {
  try {
    const { data } = await (await call("/v1/models", { headers: headers() })).json();
    at("model").replaceChildren(...data.map((one) => el("option", { value: one.id }, one.id)));
    notice("");
    if (data.length) await choose(data.some((one) => one.id === state.model) ? state.model : data[0].id);
  } catch (error) { complain(error); }
}
async function choose(name) {
  state.model = name;
  at("model").value = name;
  state.facts = await (await call(modelPath(""), { headers: headers() })).json();
  drawForm(state.facts.row.example);
  for (const id of ["answer", "because", "many-first", "many-download"]) at(id).replaceChildren();
  at("many-said").textContent = "";
  at("report-frame").removeAttribute("src");
  state.reported = null;
  if (!at("panel-report").hidden) showReport();
}

/* The form: one control for each column, by its type */
const NUMERIC = ["vector", "timeseries"];
function drawForm(example) {
  state.media = {};
  const fields = Object.entries(state.facts.row.properties).map(([name, field], place) => drawField(name, field, place, (example || {})[name]));
  at("fields").replaceChildren(...fields);
  drawCalls();
}
function drawField(name, field, place, value) {
  const id = `field-${place}`, type = field["x-type"];
  const unit = field["x-unit"] ? ` (${field["x-unit"]})` : "";
  const label = el("label", { htmlFor: id }, name + unit, " ", el("small", {}, type));
  let control;
  if (type === "image" || type === "audio") control = drawMedia(name, type, id, value);
  else if (type === "text") control = el("textarea", { id, rows: 4, value: value ?? "" });
  else if (NUMERIC.includes(type)) control = el("textarea", { id, rows: 2, value: value == null ? "" : JSON.stringify(value), placeholder: word("jsonHint"), spellcheck: false });
  else if (type === "set") control = el("input", { id, value: Array.isArray(value) ? value.join(", ") : value ?? "", placeholder: word("listHint") });
  else if (field.examples && field.examples.length) {
    const list = el("datalist", { id: `${id}-levels` }, ...field.examples.map((level) => el("option", { value: level })));
    control = el("span", {}, el("input", { id, value: value ?? "", list: `${id}-levels`, autocomplete: "off" }), list);
  } else control = el("input", { id, value: value ?? "", autocomplete: "off", inputMode: type === "number" ? "decimal" : "text" });
  const box = el("div", { className: "field" }, label, control);
  box.dataset.name = name;
  box.dataset.type = type;
  return box;
}
function drawMedia(name, type, id, value) {
  const input = el("input", { type: "file", id, accept: `${type}/*` });
  const shown = el("div", { className: "shown" });
  const zone = el("div", { className: "drop" }, el("p", {}, word("drop")), input, shown);
  const take = (address) => {
    state.media[name] = address;
    shown.replaceChildren();
    if (address && type === "image") shown.append(el("img", { src: address, alt: name }));
    if (address && type === "audio") shown.append(el("audio", { src: address, controls: true }));
    drawCalls();
  };
  const read = (file) => { const reader = new FileReader(); reader.onload = () => take(reader.result); reader.readAsDataURL(file); };
  input.addEventListener("change", () => input.files[0] && read(input.files[0]));
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => { event.preventDefault(); zone.classList.remove("over"); if (event.dataTransfer.files[0]) read(event.dataTransfer.files[0]); });
  if (type === "audio") zone.append(recorder(take));
  if (typeof value === "string" && value.startsWith("data:")) take(value);
  return zone;
}
function recorder(take) {
  const button = el("button", { type: "button" }, word("record"));
  let running = null;
  button.addEventListener("click", async () => {
    if (running) { running.stop(); return; }
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const pieces = [];
      running = new MediaRecorder(stream);
      running.ondataavailable = (event) => pieces.push(event.data);
      running.onstop = async () => {
        stream.getTracks().forEach((track) => track.stop());
        running = null;
        button.textContent = word("record");
        take(await asWave(new Blob(pieces)));
      };
      running.start();
      button.textContent = word("stopRecord");
    } catch { running = null; notice(word("noMicrophone")); }
  });
  return button;
}
async function asWave(blob) {
  /* What browsers record differs; uncompressed sound is read everywhere. */
  const context = new AudioContext(), sound = await context.decodeAudioData(await blob.arrayBuffer());
  const data = sound.getChannelData(0), bytes = new DataView(new ArrayBuffer(44 + 2 * data.length));
  const text = (place, letters) => [...letters].forEach((letter, i) => bytes.setUint8(place + i, letter.charCodeAt(0)));
  text(0, "RIFF"); bytes.setUint32(4, 36 + 2 * data.length, true); text(8, "WAVEfmt "); bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); bytes.setUint16(22, 1, true); bytes.setUint32(24, sound.sampleRate, true);
  bytes.setUint32(28, 2 * sound.sampleRate, true); bytes.setUint16(32, 2, true); bytes.setUint16(34, 16, true);
  text(36, "data"); bytes.setUint32(40, 2 * data.length, true);
  data.forEach((value, i) => bytes.setInt16(44 + 2 * i, Math.max(-1, Math.min(1, value)) * 32767, true));
  context.close();
  return new Promise((done) => { const reader = new FileReader(); reader.onload = () => done(reader.result); reader.readAsDataURL(new Blob([bytes], { type: "audio/wav" })); });
}
function currentRow() {
  const row = {};
  for (const box of at("fields").children) {
    const { name, type } = box.dataset;
    if (type === "image" || type === "audio") { row[name] = state.media[name] || null; continue; }
    const text = box.querySelector("input, textarea").value;
    if (text === "") row[name] = null;
    else if (type === "number") row[name] = Number.isFinite(Number(text)) ? Number(text) : text;
    else if (type === "set") row[name] = text.split(",").map((one) => one.trim()).filter(Boolean);
    else if (NUMERIC.includes(type)) { try { row[name] = JSON.parse(text); } catch { row[name] = text; } }
    else row[name] = text;
  }
  return row;
}

/* One answer */
async function answer(explained) {
  notice("");
  at("because").replaceChildren();
  at("answer").replaceChildren(el("p", {}, word("working")));
  const body = JSON.stringify({ rows: [currentRow()] }), options = { method: "POST", headers: headers({ "Content-Type": "application/json" }), body };
  try {
    const told = await (await call(modelPath("/predict"), options)).json();
    at("answer").replaceChildren(...drawAnswer(told.predictions[0]));
    if (!explained) return;
    at("because").replaceChildren(el("p", {}, word("working")));
    const why = await (await call(modelPath("/explain"), options)).json();
    at("because").replaceChildren(...drawWhy(why));
  } catch (error) { at("answer").replaceChildren(); at("because").replaceChildren(); complain(error); }
}
const number = (value) => typeof value === "number" ? (Math.abs(value) >= 1000 ? value.toLocaleString(undefined, { maximumFractionDigits: 1 }) : String(Number(value.toPrecision(4)))) : value;
const said = (value) => value === null || value === undefined ? "–" : Array.isArray(value) ? value.map(number).join(", ") : String(number(value));
function drawAnswer(found) {
  return Object.keys(state.facts.targets).map((target) => {
    const own = Object.entries(found).filter(([name]) => name === target || name.startsWith(`${target}.`));
    const parts = Object.fromEntries(own.map(([name, value]) => [name.slice(target.length + 1), value]));
    const box = el("section", { className: "card" }, el("h2", {}, target), el("p", { className: "big" }, said(parts[""])));
    const bars = Object.entries(parts).filter(([name]) => /^p\[.*\]$/.test(name)).sort((a, b) => b[1] - a[1]);
    if (bars.length) box.append(el("h3", {}, word("probability")), drawBars(bars.map(([name, value]) => [name.slice(2, -1), value, said(value)]), 1));
    if ("low" in parts && "high" in parts) box.append(el("p", {}, `${word("between")} ${said(parts.low)} ${word("and")} ${said(parts.high)}`));
    if (Array.isArray(parts.set) && parts.set.length > 1) box.append(el("p", {}, `${word("setOf")}: ${parts.set.join(", ")}`));
    const rest = Object.entries(parts).filter(([name]) => name && !/^p\[.*\]$/.test(name) && !["low", "high", "set"].includes(name));
    if (rest.length) box.append(el("dl", {}, ...rest.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, said(value))])));
    return box;
  });
}
function drawBars(rows, whole) {
  const most = whole || Math.max(...rows.map(([, value]) => Math.abs(value)), 1e-12), signed = rows.some(([, value]) => value < 0);
  const lines = rows.slice(0, 12).map(([name, value, shown]) => {
    const bar = el("span", { className: `bar ${value < 0 ? "minus" : "plus"}` });
    bar.style.width = `${(signed ? 50 : 100) * Math.abs(value) / most}%`;
    if (signed) bar.style.marginLeft = value < 0 ? `${50 - 50 * Math.abs(value) / most}%` : "50%";
    return el("tr", {}, el("th", { scope: "row" }, name), el("td", { className: "track" }, bar), el("td", { className: "value" }, shown));
  });
  return el("table", { className: "bars" }, el("tbody", {}, ...lines));
}
function drawWhy(told) {
  const boxes = [el("h2", {}, word("whyHead")), el("p", { className: "hint" }, word("whyHint"))];
  for (const one of told.explanations) {
    const title = (word("methods")[one.method] || one.method) + (Object.keys(state.facts.targets).length > 1 ? `: ${one.target}` : "");
    const items = (one.items || []).filter((item) => item.row === undefined || item.row === 0);
    if (one.status === "not_applicable") continue;
    if (one.status !== "measured") { boxes.push(el("p", {}, `${title}: ${word(one.status === "failed" ? "failed" : "notDone")}.`)); continue; }
    for (const item of items) {
      if (item.kind === "attribution") {
        const rows = item.parts.map((part, i) => [partName(part), item.values[i], signedWords(item.values[i])]);
        rows.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
        boxes.push(el("section", { className: "card" }, el("h3", {}, `${title}${item.output ? ` → ${item.output}` : ""}`), drawBars(rows)));
      } else if (item.kind === "change") {
        const text = item.after === null ? word("noChange") : `${item.cells.map(([column, before, after]) => `${column}: ${before || word("missing")} → ${after || word("missing")}`).join("; ")} ⇒ ${item.before} ${word("becomes")} ${item.after}`;
        boxes.push(el("section", { className: "card" }, el("h3", {}, title), el("p", {}, text)));
      }
    }
  }
  return boxes;
}
const partName = (part) => `${part.column}${part.place.length ? ` [${part.place.join(", ")}]` : ""}${part.shown ? ` = ${part.shown.slice(0, 40)}` : ""}`;
const signedWords = (value) => `${value > 0 ? "+" : ""}${said(value)}`;

/* Many rows, streamed in and out */
async function answerMany() {
  const file = at("many-file").files[0], text = at("many-text").value;
  const body = file || (text.trim() ? new Blob([text]) : null);
  if (!body) { notice(word("noRows")); return; }
  notice("");
  const lines = file && /\.(jsonl|ndjson)$/i.test(file.name) || !file && text.trimStart().startsWith("{");
  const total = Math.max(1, await countLines(body) - (lines ? 0 : 1));
  const stop = new AbortController();
  state.stop = stop;
  at("many-stop").hidden = at("many-progress").hidden = false;
  at("many-go").disabled = true;
  at("many-download").replaceChildren();
  at("many-first").replaceChildren();
  const pieces = [];
  let rows = lines ? 0 : -1, head = "";
  const decoder = new TextDecoder();
  try {
    const kind = lines ? "application/x-ndjson" : "text/csv";
    const reply = await call(modelPath("/predict?stream=true"), { method: "POST", headers: headers({ "Content-Type": kind }), body, signal: stop.signal });
    const reader = reply.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      for (const byte of value) if (byte === 10) rows += 1;
      if (head.length < 4000) head += decoder.decode(value, { stream: true });
      at("many-progress").value = Math.min(1, rows / total);
      at("many-said").textContent = `${rows.toLocaleString()} ${word("of")} ${total.toLocaleString()} ${word("rows")}`;
    }
    at("many-progress").value = 1;
  } catch (error) {
    if (error.name === "AbortError") at("many-said").textContent += ` · ${word("stopped")}`;
    else complain(error instanceof Refusal ? error : new Refusal(`${word("broken")} ${error.message}`));
  }
  at("many-stop").hidden = true;
  at("many-go").disabled = false;
  if (!pieces.length) return;
  const name = `${state.model}-answers.${lines ? "jsonl" : "csv"}`;
  const address = URL.createObjectURL(new Blob(pieces));
  at("many-download").replaceChildren(el("a", { href: address, download: name }, `${word("download")} (${name})`));
  at("many-first").replaceChildren(el("h3", {}, word("first")), el("pre", { tabIndex: 0 }, head.split("\n").slice(0, 6).join("\n")));
}
async function countLines(blob) {
  let count = 0, last = 10;
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return count + (last === 10 ? 0 : 1);
    for (const byte of value) if (byte === 10) count += 1;
    if (value.length) last = value[value.length - 1];
  }
}

/* The report, and the call */
async function showReport() {
  const wanted = `${state.model} ${at("language").value}`;
  if (!state.model || state.reported === wanted) return;
  at("report-said").textContent = word("reportWorking");
  try {
    const reply = await call(modelPath(`/report?language=${at("language").value}`), { headers: headers() });
    at("report-frame").src = URL.createObjectURL(new Blob([await reply.text()], { type: "text/html" }));
    at("report-said").textContent = "";
    state.reported = wanted;
  } catch (error) { at("report-said").textContent = ""; complain(error); }
}
function drawCalls() {
  const row = currentRow();
  for (const name of Object.keys(state.media)) if (row[name]) row[name] = `${row[name].slice(0, 30)}…`;
  const body = JSON.stringify({ rows: [row] }), address = location.origin + modelPath("/predict");
  at("call-curl").textContent = `curl ${address} \\\n  -H "Authorization: Bearer $TRUEWEIGHT_KEY" -H "Content-Type: application/json" \\\n  -d '${body.replaceAll("'", "'\\''")}'`;
  const python = JSON.stringify(row, null, 0).replaceAll(":null", ":None").replaceAll(":true", ":True").replaceAll(":false", ":False");
  at("call-python").textContent = `import os\nimport trueweight\n\nclient = trueweight.Client("${location.origin}", os.environ["TRUEWEIGHT_KEY"])\nprint(client.predict([${python}], model=${JSON.stringify(state.model)}))`;
}

/* Tabs, by mouse and by arrow keys */
function select(tab) {
  for (const one of document.querySelectorAll("[role=tab]")) {
    const on = one === tab;
    one.setAttribute("aria-selected", String(on));
    one.tabIndex = on ? 0 : -1;
    at(one.getAttribute("aria-controls")).hidden = !on;
  }
  if (tab.id === "tab-report") showReport();
  if (tab.id === "tab-call") drawCalls();
}
function speak(language) {
  state.words = WORDS[language];
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  if (state.facts) { const row = currentRow(); drawForm(row); }
  if (!at("panel-report").hidden) showReport();
}

document.addEventListener("DOMContentLoaded", () => {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) history.replaceState(null, "", location.pathname);
  at("key").value = given || sessionStorage.getItem("trueweight-key") || "";
  at("key").addEventListener("change", () => { sessionStorage.setItem("trueweight-key", at("key").value.trim()); loadModels(); });
  if (given) sessionStorage.setItem("trueweight-key", given);
  at("model").addEventListener("change", () => choose(at("model").value).catch(complain));
  at("language").value = (navigator.language || "en").startsWith("zh") ? "zh" : "en";
  at("language").addEventListener("change", () => speak(at("language").value));
  speak(at("language").value);
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
      select(next);
      next.focus();
    });
  });
  at("form").addEventListener("submit", (event) => { event.preventDefault(); answer(false); });
  at("form").addEventListener("input", drawCalls);
  at("why").addEventListener("click", () => answer(true));
  at("example").addEventListener("click", () => drawForm(state.facts && state.facts.row.example));
  at("clear").addEventListener("click", () => drawForm({}));
  at("many-go").addEventListener("click", () => answerMany().catch(complain));
  at("many-stop").addEventListener("click", () => state.stop && state.stop.abort());
  loadModels();
});
