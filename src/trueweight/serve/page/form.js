"use strict";
/* The form: one control for each column, by its type. Each field knows how to read its own value. */
const FEW = 24;

function drawForm(example) {
  state.fields = new Map();
  const columns = Object.entries(state.facts.row.properties);
  at("fields").replaceChildren(...columns.map(([name, told], place) => drawField(name, told, `field-${place}`, (example || {})[name])));
  drawCalls();
}
function currentRow() {
  return Object.fromEntries([...state.fields].map(([name, read]) => [name, read()]));
}
function drawField(name, told, id, value) {
  const type = told["x-type"], draw = CONTROLS[type] || drawText;
  const hint = el("small", { id: `${id}-hint`, className: "wrong" });
  const { control, read, group } = draw({ name, told, id, value, type, wrong: (text) => mark(id, hint, text) });
  const words = [`${name}${told["x-unit"] ? ` (${told["x-unit"]})` : ""} `, el("small", {}, typeWord(type))];
  const box = group
    ? el("fieldset", { className: "field" }, el("legend", {}, ...words), control, hint)
    : el("div", { className: "field" }, el("label", { htmlFor: id }, ...words), control, hint);
  box.dataset.name = name;
  box.dataset.type = type;
  state.fields.set(name, read);
  const own = box.querySelector(`#${id}`);
  if (own) own.setAttribute("aria-describedby", hint.id);
  return box;
}
function mark(id, hint, text) {
  hint.textContent = text || "";
  const own = at(id);
  if (own) own.setAttribute("aria-invalid", String(Boolean(text)));
}
const CONTROLS = {
  number: drawNumber, binary: drawLevels, category: drawLevels, date: drawDate, set: drawSet, text: drawLong,
  vector: drawNumbers, timeseries: drawNumbers, image: drawMedia, audio: drawMedia,
};

/* Plain cells */
function drawText({ id, value }) {
  const control = el("input", { id, value: value ?? "", autocomplete: "off" });
  return { control, read: () => control.value === "" ? null : control.value };
}
function drawLong({ id, value, told }) {
  const control = el("textarea", { id, rows: 5, value: value ?? "", placeholder: told.description && !told.contentEncoding && !Object.keys(state.facts.features).length ? word("beginning") : "" });
  return { control, read: () => control.value === "" ? null : control.value };
}
function drawNumber({ id, value, wrong }) {
  const control = el("input", { id, value: value ?? "", autocomplete: "off", inputMode: "decimal" });
  const read = () => {
    const text = control.value.trim(), found = Number(text);
    return text === "" ? null : Number.isFinite(found) ? found : control.value;
  };
  control.addEventListener("input", () => wrong(typeof read() === "string" ? word("notNumber") : ""));
  return { control, read };
}
function drawDate({ id, value, told }) {
  /* A picker where the example is a day or a moment as browsers write them; else a line of text. */
  const like = value ?? told.example ?? "";
  const kind = /^\d{4}-\d\d-\d\d$/.test(like) ? "date" : /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(like) ? "datetime-local" : "text";
  const control = el("input", { id, type: kind, step: kind === "datetime-local" ? "1" : null, value: value ?? "", autocomplete: "off" });
  return { control, read: () => control.value === "" ? null : control.value };
}
function drawLevels({ id, value, told }) {
  const levels = (told.examples || []).map(String), given = value === null || value === undefined ? null : String(value);
  if (!levels.length) return drawText({ id, value });
  const other = el("input", { id: `${id}-other`, ariaLabel: word("otherLevel"), autocomplete: "off", hidden: true });
  const options = levels.map((level) => el("option", { value: `=${level}` }, level === "" ? "“”" : level));
  const control = el("select", { id }, el("option", { value: "" }, word("missingLevel")), ...options, el("option", { value: "?" }, word("otherLevel")));
  if (given !== null) {
    control.value = levels.includes(given) ? `=${given}` : "?";
    if (control.value === "?") { other.value = given; other.hidden = false; }
  }
  control.addEventListener("change", () => { other.hidden = control.value !== "?"; if (!other.hidden) other.focus(); });
  const read = () => control.value === "?" ? other.value || null : control.value ? control.value.slice(1) : null;
  return { control: el("div", { className: "pair" }, control, other), read };
}
function drawSet({ id, value, told }) {
  const levels = (told["x-levels"] || []).map(String), given = Array.isArray(value) ? value.map(String) : [];
  if (!levels.length || levels.length > FEW || given.some((one) => !levels.includes(one))) {
    const control = el("input", { id, value: given.join(", "), placeholder: word("listHint"), autocomplete: "off" });
    return { control, read: () => control.value.trim() === "" ? null : control.value.split(",").map((one) => one.trim()).filter(Boolean) };
  }
  const boxes = levels.map((level, place) => el("input", { type: "checkbox", id: `${id}-${place}`, value: level, checked: given.includes(level) }));
  const missing = el("input", { type: "checkbox", id: `${id}-missing`, checked: !Array.isArray(value) });
  const off = () => boxes.forEach((box) => { box.disabled = missing.checked; });
  missing.addEventListener("change", off);
  off();
  const lines = boxes.map((box) => el("label", { className: "check" }, box, ` ${box.value}`));
  const control = el("div", { className: "checks" }, ...lines, el("label", { className: "check quiet" }, missing, ` ${word("missingLevel")}`));
  return { control, group: true, read: () => missing.checked ? null : boxes.filter((box) => box.checked).map((box) => box.value) };
}
function drawNumbers({ id, value, type, wrong, name }) {
  const text = value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);
  const control = el("textarea", { id, rows: Math.min(4, 1 + Math.ceil(text.length / 90)), value: text, placeholder: word("jsonHint"), spellcheck: false });
  const shown = el("div", {});
  const read = () => {
    const typed = control.value.trim();
    if (typed === "") return null;
    for (const form of [typed, `[${typed}]`, `[${typed.split(/[\s;]+/).join(",")}]`]) {
      try { const found = JSON.parse(form); if (Array.isArray(found)) return found; } catch { /* the next way to write it */ }
    }
    return control.value;
  };
  const look = () => {
    const found = read();
    wrong(typeof found === "string" ? word("notNumbers") : "");
    if (type === "timeseries") shown.replaceChildren(...(Array.isArray(found) && found.length ? [drawSeries(found, name)] : []));
  };
  control.addEventListener("input", look);
  look();
  return { control: el("div", {}, control, shown), read };
}
function drawSeries(rows, name) {
  /* Steps to the right, a line for each channel. */
  const channels = Array.isArray(rows[0]) ? rows[0].map((_, place) => rows.map((step) => step[place])) : [rows];
  const values = channels.flat().filter(Number.isFinite);
  const low = values.reduce((one, two) => Math.min(one, two), Infinity), high = values.reduce((one, two) => Math.max(one, two), -Infinity);
  const tall = high - low || 1;
  const lines = channels.map((line, place) => svg("polyline", {
    class: `line line-${place % 6}`, fill: "none", "vector-effect": "non-scaling-stroke",
    points: line.map((value, step) => Number.isFinite(value) ? `${(step / Math.max(1, line.length - 1) * 100).toFixed(2)},${(38 - (value - low) / tall * 36).toFixed(2)}` : "").join(" "),
  }));
  return svg("svg", { class: "series", viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": word("seriesOf", name, channels.length, rows.length) }, ...lines);
}

/* Pictures and sounds */
const readFile = (file) => new Promise((done, fail) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => fail(new Refusal(word("unreadableFile", file.name), 0));
  reader.readAsDataURL(file);
});
function dropped(zone, take) {
  zone.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("over"); });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files);
  });
}
function drawMedia({ name, type, id, value, wrong }) {
  const input = el("input", { type: "file", id, accept: `${type}/*` });
  const shown = el("div", { className: "shown" });
  const zone = el("div", { className: "drop" }, el("p", {}, word(type === "image" ? "dropPicture" : "dropSound")), input);
  const show = () => {
    const held = state.media[name];
    wrong("");
    shown.replaceChildren();
    if (!held) return;
    const failed = () => wrong(word("cannotShow", held.file || ""));
    if (type === "image") shown.append(el("img", { src: held.address, alt: held.file || name, onerror: failed }));
    else shown.append(el("audio", { src: held.address, controls: true, onerror: failed, ariaLabel: held.file || name }));
    const off = el("button", { type: "button" }, word("remove"));
    off.addEventListener("click", () => { input.value = ""; take(null); input.focus(); });
    shown.append(el("p", { className: "named" }, held.file || word(held.recorded ? "recording" : "madeUp"), " ", off));
  };
  const take = (held) => { if (held) state.media[name] = held; else delete state.media[name]; show(); drawCalls(); };
  const read = (file) => readFile(file).then((address) => take({ address, file: file.name })).catch(complain);
  input.addEventListener("change", () => input.files[0] && read(input.files[0]));
  dropped(zone, (files) => read(files[0]));
  if (type === "audio") zone.append(" ", recorder(take));
  zone.append(shown);
  if (!state.media[name] && typeof value === "string" && value.startsWith("data:")) state.media[name] = { address: value, file: "" };
  show();
  return { control: zone, read: () => (state.media[name] ? state.media[name].address : null) };
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
        button.setAttribute("aria-pressed", "false");
        try { take({ address: await asWave(new Blob(pieces)), file: "", recorded: true }); } catch { notice(word("nothingHeard")); }
      };
      running.start();
      button.textContent = word("stopRecord");
      button.setAttribute("aria-pressed", "true");
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
  return readFile(new Blob([bytes], { type: "audio/wav" }));
}
