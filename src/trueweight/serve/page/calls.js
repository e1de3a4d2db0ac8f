"use strict";
/* The report, and the same question from a program: as it stands, it can be run. */
async function showReport() {
  const wanted = `${state.model} ${at("language").value}`;
  if (!state.model || state.reported === wanted) return;
  state.reported = wanted;
  at("report-said").textContent = word("reportWorking");
  try {
    const reply = await call(modelPath(`/report?language=${at("language").value}`), { headers: headers() });
    const address = URL.createObjectURL(new Blob([await reply.text()], { type: "text/html" }));
    if (state.reported !== wanted) return; // another one was asked for meanwhile
    at("report-frame").src = address;
    at("report-frame").hidden = false;
    at("report-said").textContent = "";
    const name = `${state.model}-report.html`;
    at("report-download").replaceChildren(el("a", { href: address, download: name }, `${word("reportSave")} (${name})`));
  } catch (error) { state.reported = null; at("report-said").textContent = ""; complain(error); }
}
async function showDocs() {
  const reply = await call("/docs", { headers: headers() });
  const style = await (await call("/page.css")).text(), page = new DOMParser().parseFromString(await reply.text(), "text/html");
  page.querySelector("link").replaceWith(el("style", {}, style));
  page.querySelector("h1 + p").remove(); // its links need a key, and lead back here
  at("docs-frame").srcdoc = `<!doctype html>${page.documentElement.outerHTML}`;
  at("docs-frame").hidden = false;
}

/* Snippets */
const INLINE = 2000; // characters of a file that are written down within a call

function drawCalls() {
  if (!state.facts) return;
  const row = {}, files = {};
  for (const [name, value] of Object.entries(currentRow())) {
    const held = state.media[name];
    if (value === null) continue; // a column that is left out is missing
    if (held && value === held.address && (held.file || value.length > INLINE)) files[name] = fileOf(name, held);
    row[name] = value;
  }
  tellFiles(files);
  const address = location.origin + modelPath("/predict");
  at("call-curl").textContent = curl(address, { rows: [row] }, files, "");
  at("call-python").textContent = python(row, files);
  at("call-stream-box").hidden = !written();
  if (written()) at("call-stream").textContent = curl(location.origin + modelPath("/write"), { rows: [row] }, files, " --no-buffer");
  at("call-key").hidden = at("key-label").hidden;
}
function fileOf(name, held) {
  const kind = held.address.slice(5, held.address.indexOf(";")), ending = { "audio/wav": "wav", "image/png": "png" }[kind] || kind.split("/")[1] || "bin";
  return { kind, name: held.file || `${name.replaceAll(/[^\p{L}\p{N}_-]/gu, "_")}.${ending}`, address: held.address, own: Boolean(held.file) };
}
function tellFiles(files) {
  const links = Object.values(files).map((file) => file.own ? file.name : el("a", { href: file.address, download: file.name }, file.name));
  at("call-files").hidden = !links.length;
  at("call-files").replaceChildren(word("callFiles"), " ", ...links.flatMap((link, place) => place ? [", ", link] : [link]));
}
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const opened = () => !at("key").value.trim();
function curl(address, body, files, more) {
  /* Names of files are put in as what the shell makes of them; all else is kept from the shell. */
  const names = Object.keys(files);
  const asked = { ...body, rows: body.rows.map((row) => ({ ...row, ...Object.fromEntries(names.map((name, place) => [name, `\u0000${place}\u0000`])) })) };
  let text = JSON.stringify(asked);
  if (names.length) {
    text = text.replaceAll(/[\\$`]/g, "\\$&").replaceAll(/\\\\u0000(\d+)\\\\u0000/g, (_, place) => {
      const file = files[names[place]];
      return `data:${file.kind};base64,$(base64 < ${quoted(file.name)} | tr -d '\\n')`;
    });
  }
  const key = opened() ? "" : ` -H "Authorization: Bearer $TRUEWEIGHT_KEY" \\\n `;
  return `curl${more} ${quoted(address)} \\\n ${key} -H "Content-Type: application/json" --data-binary @- <<${names.length ? "END" : "'END'"}\n${text}\nEND`;
}
function python(row, files) {
  const named = Object.fromEntries(Object.entries(row).map(([name, value]) => [name, files[name] ? files[name].name : value]));
  const key = opened() ? "" : ', os.environ["TRUEWEIGHT_KEY"]';
  const lines = Object.entries(named).map(([name, value]) => `    ${literal(name)}: ${literal(value)},`);
  return `${key ? "import os\n\n" : ""}import trueweight\n\nclient = trueweight.Client(${literal(location.origin)}${key})\nrow = {\n${lines.join("\n")}\n}\nprint(client.predict([row], model=${literal(state.model)})[0])`;
}
function literal(value) {
  /* As Python writes it. JSON's texts and numbers mean the same there. */
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (typeof value === "object") return `{${Object.entries(value).map(([key, one]) => `${literal(key)}: ${literal(one)}`).join(", ")}}`;
  return JSON.stringify(value);
}
async function copy(node) {
  try { await navigator.clipboard.writeText(node.textContent); at("copied").textContent = word("copied"); } catch {
    getSelection().selectAllChildren(node); // no clipboard here: it is marked, to be copied by hand
    at("copied").textContent = word("marked");
  }
}
