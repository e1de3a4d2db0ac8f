"use strict";
/* The page for trying models. It asks the server's own interface and keeps nothing but the key, for this tab.
   Here: what all parts of it use, and the choice of a model. */
const at = (id) => document.getElementById(id);
const state = { model: null, facts: null, words: WORDS.en, fields: new Map(), media: {}, running: null, many: null, reported: null };

function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined) continue;
    if (key in node && key !== "list") node[key] = value; else node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
function svg(name, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/* Words and numbers, in the language of the page */
const word = (key, ...values) => values.reduce((text, value, place) => text.replace(`{${place}}`, () => value), state.words[key] ?? key);
const number = (value) => {
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size && (size >= 1e9 || size < 1e-4)) return value.toExponential(2);
  return value.toLocaleString(document.documentElement.lang, size >= 1000 ? { maximumFractionDigits: 1 } : { maximumSignificantDigits: 4 });
};
const count = (value) => value.toLocaleString(document.documentElement.lang);
/* What is nearly certain is not told as certain. */
const percent = (value) => value > 0 && value < .0005 ? `< ${number(.1)} %` : value >= .9995 && value < 1 ? `> ${number(99.9)} %` : `${number(Math.round(value * 1000) / 10)} %`;
const said = (value) => value === null || value === undefined ? "–" : Array.isArray(value) ? value.map(said).join(", ") || word("none") : number(value);

/* Asking */
class Refusal extends Error {
  /* Said by the page in its language; behind it, where they are not that already, the server's own words. */
  constructor(text, status, own) { super(text); this.status = status; this.own = own || ""; }
}
function headers(more) {
  const key = at("key").value.trim();
  return Object.assign(key ? { Authorization: `Bearer ${key}` } : {}, more);
}
async function call(path, options) {
  let reply;
  try { reply = await fetch(path, options); } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(word("networkError"), 0);
  }
  if (reply.ok) return reply;
  let told = {};
  try { told = await reply.json(); } catch { /* no words */ }
  throw refusalOf(told, reply.status, reply.headers.get("retry-after"));
}
function refusalOf(told, status, wait) {
  /* The server's own words are English; what kind of refusal it is, the page says in its language. */
  const detail = told.detail || (told.error && told.error.message) || "", own = [detail, told.hint].filter(Boolean).join(": ");
  const kinds = state.words.statuses, kind = kinds[status] || kinds[`${String(status)[0]}xx`];
  const lines = [kind || own || String(status)];
  if (status === 401) lines.push(word("needKey"));
  if (wait) lines.push(word("comeAgain", wait));
  return new Refusal(lines.join(" · "), status, kind ? own : "");
}
const post = (body, signal, kind) => ({ method: "POST", headers: headers({ "Content-Type": kind || "application/json" }), body, signal });
const modelPath = (rest) => `/v1/models/${encodeURIComponent(state.model)}${rest}`;
function complain(error) {
  if (error.name !== "AbortError") notice(error instanceof Refusal ? error.message : String(error), error.own);
}
function notice(text, own) {
  const ours = state.words === WORDS.en, behind = own && !ours ? [el("small", {}, `${word("own")} `, el("span", { lang: "en" }, own))] : [];
  at("notice").replaceChildren(own && ours ? `${text} ${own}` : text, ...behind);
  at("notice").hidden = !text;
}

/* Models */
async function loadModels() {
  try {
    const { data } = await (await call("/v1/models", { headers: headers() })).json();
    at("key-label").hidden = !at("key").value.trim(); // a server that answers without one asks for none
    at("model").replaceChildren(...data.map((one) => el("option", { value: one.id }, one.id)));
    notice("");
    if (data.length) await choose(data.some((one) => one.id === state.model) ? state.model : data[0].id);
  } catch (error) {
    at("key-label").hidden = false;
    if (error instanceof Refusal && error.status === 401 && !at("key").value.trim()) { notice(word("needKey")); at("key").focus(); } else complain(error);
  }
}
async function choose(name) {
  stopAll();
  state.model = name;
  at("model").value = name;
  const facts = await (await call(modelPath(""), { headers: headers() })).json();
  if (state.model !== name) return; // another one was chosen meanwhile
  state.facts = facts;
  document.body.classList.remove("empty");
  state.media = {};
  notice("");
  at("how").hidden = !written();
  drawForm(facts.row.example);
  for (const id of ["answer", "because", "many-first", "many-download", "report-download"]) at(id).replaceChildren();
  for (const id of ["many-said", "said", "report-said"]) at(id).textContent = "";
  at("many-progress").hidden = at("report-frame").hidden = at("docs-frame").hidden = true;
  state.reported = null;
  last.found = last.why = null;
  drawAbout();
  if (!at("panel-report").hidden) showReport();
}
function drawAbout() {
  const kinds = (columns) => Object.entries(columns).map(([name, type]) => `${name} (${typeWord(type)})`).join(", ");
  const columns = Object.keys(state.facts.features), read = columns.slice(0, 8).join(", ") + (columns.length > 8 ? ", …" : "");
  at("about").textContent = word(columns.length ? "about" : "aboutAlone", kinds(state.facts.targets), columns.length > 8 ? `${count(columns.length)} (${read})` : read);
  at("about").dataset.model = state.model;
  document.title = `${state.model} · Trueweight`;
}
const typeWord = (type) => (state.words.types || {})[type] || type;
/* The one target that is a text; null where answers are of other kinds. */
function written() {
  const targets = Object.entries(state.facts.targets);
  return targets.length === 1 && targets[0][1] === "text" ? targets[0][0] : null;
}
function stopAll() {
  for (const one of ["running", "many"]) if (state[one]) { state[one].abort(); state[one] = null; }
}
