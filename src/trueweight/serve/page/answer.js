"use strict";
/* One answer: asked for, drawn, explained. */
const MOST_BARS = 8;
const last = { found: null, why: null };

async function answer(explained) {
  if (!state.facts || state.running) return;
  notice("");
  const stop = state.running = new AbortController(), row = currentRow();
  busy(true);
  last.found = last.why = null;
  at("because").replaceChildren();
  at("answer").replaceChildren();
  tell(word("working"));
  try {
    last.found = (written() && !explained && await writeOut(row, stop.signal)) || await predicted(row, stop.signal);
    redrawAnswer();
    tell(spoken(last.found), true);
    at("answer").scrollIntoView({ block: "nearest" });
    if (explained) {
      at("because").replaceChildren(el("p", {}, word("explaining")));
      const body = JSON.stringify({ rows: [row] });
      last.why = { row, told: await (await call(modelPath("/explain"), post(body, stop.signal))).json() };
      redrawAnswer();
    }
  } catch (error) {
    at("because").replaceChildren();
    tell(error.name === "AbortError" ? word("stopped") : "");
    complain(error);
  }
  if (state.running === stop) state.running = null;
  busy(Boolean(state.running));
}
function tell(text, drawn) {
  /* Said to those who listen; not shown again to those who see what is drawn. */
  at("said").textContent = text;
  at("said").classList.toggle("unseen", Boolean(drawn));
}
function busy(on) {
  at("go").disabled = at("why").disabled = on;
  at("stop").hidden = !on;
}
async function predicted(row, signal) {
  const told = await (await call(modelPath("/predict?notes=true"), post(JSON.stringify({ rows: [row] }), signal))).json();
  if (told.notes.length) notice(word("notes"), told.notes.join("; "));
  return told.predictions[0];
}

/* Texts, as they are written */
function wishes() {
  const told = {};
  for (const [id, name] of [["how-temperature", "temperature"], ["how-max", "max_tokens"], ["how-seed", "seed"]]) {
    const text = at(id).value.trim();
    if (text === "") continue;
    if (!Number.isFinite(Number(text))) throw new Refusal(word("notNumber"), 0);
    told[name] = Number(text);
  }
  return told;
}
async function writeOut(row, signal) {
  /* The answer as an object, or null where this model gives its texts whole. */
  const target = written(), how = wishes();
  let reply;
  try { reply = await call(modelPath("/write"), post(JSON.stringify({ rows: [row], ...how }), signal)); } catch (error) {
    if (error.status === 422 && !Object.keys(how).length) return null;
    throw error;
  }
  const text = el("p", { className: "big text", lang: "" });
  at("answer").replaceChildren(el("section", { className: "card" }, el("h2", {}, target), text));
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ;) {
    const { done, value } = await reader.read();
    if (done) throw new Refusal(word("broken"), 0);
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const [kind, data] = event.split("\n").map((line) => line.slice(line.indexOf(":") + 2)), told = JSON.parse(data);
      if (kind === "piece") text.append(told.text);
      if (kind === "error") throw refusalOf(told, told.status);
      if (kind === "end") return { [target]: text.textContent };
    }
  }
}

/* Drawing */
function redrawAnswer() {
  if (last.found) at("answer").replaceChildren(...drawAnswer(last.found));
  if (last.why) at("because").replaceChildren(...drawWhy(last.why.told, last.why.row));
}
function partsOf(found, target) {
  const own = Object.entries(found).filter(([name]) => name === target || name.startsWith(`${target}.`));
  return Object.fromEntries(own.map(([name, value]) => [name.slice(target.length + 1), value]));
}
function spoken(found) {
  /* One sentence for those who listen. */
  return Object.keys(state.facts.targets).map((target) => {
    const parts = partsOf(found, target), p = (chances(target, parts).find(([name]) => name === String(parts[""])) || [])[1];
    return `${target}: ${said(parts[""])}${p === undefined ? "" : ` (${percent(p)})`}`;
  }).join("; ");
}
function chances(target, parts) {
  /* Classes with their probabilities, the likeliest first. Of a yes-or-no answer one is told, the other follows. */
  const bars = Object.entries(parts).filter(([name]) => /^p\[[^]*\]$/.test(name)).map(([name, value]) => [name.slice(2, -1), value]);
  const told = state.facts.answer.properties[target] || {};
  if (bars.length === 1 && told["x-type"] === "binary" && bars[0][1] !== null) {
    const other = (told["x-levels"] || []).map(String).find((level) => level !== bars[0][0]);
    if (other !== undefined) bars.push([other, 1 - bars[0][1]]);
  }
  return bars.sort((a, b) => b[1] - a[1]);
}
function drawAnswer(found) {
  const told = state.facts.answer.properties;
  return Object.keys(state.facts.targets).map((target) => {
    const parts = partsOf(found, target), unit = (told[target] || {})["x-unit"];
    const box = el("section", { className: "card" }, el("h2", {}, target));
    if (state.facts.targets[target] === "text") box.append(parts[""] ? el("p", { className: "big text", lang: "" }, parts[""]) : el("p", { className: "quiet" }, word("nothingWritten")));
    else box.append(el("p", { className: "big" }, `${said(parts[""])}${unit ? ` ${unit}` : ""}`));
    const share = (end) => percent((told[`${target}.${end}`] || {})["x-coverage"] || 0.9);
    if ("low" in parts && "high" in parts) {
      box.append(el("p", {}, word("interval", share("low"), said(parts.low), said(parts.high) + (unit ? ` ${unit}` : ""))), drawInterval(parts));
    }
    const bars = chances(target, parts);
    if (bars.length) box.append(el("h3", {}, word("probability")), drawBars(bars.map(([name, value]) => [name, value, percent(value)]), 1));
    if (Array.isArray(parts.set)) box.append(el("p", {}, setWords(parts.set, share("set"))));
    const rest = Object.entries(parts).filter(([name]) => name && !/^p\[[^]*\]$/.test(name) && !["low", "high", "set"].includes(name));
    if (rest.length) box.append(el("dl", {}, ...rest.flatMap(([name, value]) => [el("dt", {}, (state.words.extras || {})[name] || name), el("dd", {}, said(value))])));
    return box;
  });
}
const setWords = (set, share) => word(set.length > 1 ? "setOf" : set.length ? "setOne" : "setNone", share, set.join(", "));
function drawInterval(parts) {
  const { low, high } = parts, value = parts[""], wide = high - low;
  if (!(wide > 0)) return "";
  const place = Math.min(100, Math.max(0, (value - low) / wide * 100));
  return svg("svg", { class: "interval", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { x1: 0, x2: 100, y1: 5, y2: 5, class: "span", "vector-effect": "non-scaling-stroke" }),
    svg("line", { x1: place, x2: place, y1: 0, y2: 10, class: "spot", "vector-effect": "non-scaling-stroke" }));
}
function drawBars(rows, whole) {
  const most = whole || Math.max(...rows.map(([, value]) => Math.abs(value)), 1e-12), signed = rows.some(([, value]) => value < 0);
  const line = ([name, value, shown]) => {
    const bar = el("span", { className: `bar ${value < 0 ? "minus" : "plus"}` });
    bar.style.width = `${(signed ? 50 : 100) * Math.abs(value) / most}%`;
    if (signed) bar.style.marginLeft = value < 0 ? `${50 - 50 * Math.abs(value) / most}%` : "50%";
    return el("tr", {}, el("th", { scope: "row" }, name), el("td", { className: "track" }, bar), el("td", { className: "value" }, shown));
  };
  const table = (some) => el("table", { className: "bars" }, el("tbody", {}, ...some.map(line)));
  if (rows.length <= MOST_BARS + 1) return table(rows);
  return el("div", {}, table(rows.slice(0, MOST_BARS)), el("details", {}, el("summary", {}, word("more", rows.length - MOST_BARS)), table(rows.slice(MOST_BARS))));
}

/* Why */
function drawWhy(told, row) {
  const boxes = [el("h2", {}, word("whyHead")), el("p", { className: "hint" }, word("whyHint"))];
  for (const one of told.explanations) {
    const several = Object.keys(state.facts.targets).length > 1;
    const title = ((state.words.methods || {})[one.method] || one.method) + (several ? `: ${one.target}` : "");
    const items = (one.items || []).filter((item) => item.row === undefined || item.row === 0);
    if (one.status === "not_applicable") continue;
    if (one.status !== "measured") { boxes.push(el("p", {}, `${title}: ${word(one.status === "failed" ? "failed" : "notDone")}`)); continue; }
    for (const item of items) {
      if (item.kind === "attribution") boxes.push(drawShares(title, item, row));
      else if (item.kind === "change") boxes.push(el("section", { className: "card" }, el("h3", {}, title), el("p", {}, changeWords(item))));
    }
  }
  if (boxes.length === 2) boxes.push(el("p", {}, word("noWhy")));
  return boxes;
}
function drawShares(title, item, row) {
  const box = el("section", { className: "card" }, el("h3", {}, `${title}${item.output ? ` → ${item.output}` : ""}`));
  const rows = item.parts.map((part, place) => [part, item.values[place]]);
  const drawn = rows.length > 1 && rows.every(([part]) => part.place.length && ["image", "timeseries"].includes(state.facts.features[part.column]));
  for (const column of new Set(rows.filter(([part]) => part.place.length).map(([part]) => part.column))) {
    const own = rows.filter(([part]) => part.column === column && part.place.length);
    const type = state.facts.features[column] || "text";
    if (type === "image") box.append(drawHeat(own, row[column]));
    if (type === "timeseries" && Array.isArray(row[column])) box.append(drawSpans(own, row[column], column));
    if (type === "text" && own.length > 1) box.append(drawMarked(own));
  }
  rows.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const bars = drawBars(rows.map(([part, value]) => [partName(part), value, `${value > 0 ? "+" : ""}${number(value)}`]));
  box.append(drawn ? el("details", {}, el("summary", {}, word("parts", rows.length)), bars) : bars);
  return box;
}
function strength(own) {
  const most = Math.max(...own.map(([, value]) => Math.abs(value)), 1e-12);
  return (value) => Math.abs(value) / most;
}
function drawMarked(own) {
  /* Words in their order; the stronger, the fuller the colour. What they do is in the table below as well. */
  const share = strength(own), line = el("p", { className: "marked", ariaHidden: "true" });
  for (const [part, value] of [...own].sort((a, b) => a[0].place[0] - b[0].place[0])) {
    const mark = el("span", { className: value < 0 ? "minus" : "plus" }, part.shown);
    mark.style.setProperty("--share", `${Math.round(45 * share(value))}%`);
    line.append(mark, " ");
  }
  return line;
}
function drawHeat(own, address) {
  if (typeof address !== "string") return "";
  const share = strength(own), down = Math.max(...own.map(([part]) => part.place[2])), right = Math.max(...own.map(([part]) => part.place[3]));
  const spots = own.map(([part, value]) => {
    const [top, left, bottom, end] = part.place;
    return svg("rect", { x: left, y: top, width: end - left, height: bottom - top, class: value < 0 ? "minus" : "plus", "fill-opacity": (0.6 * share(value)).toFixed(3) });
  });
  return el("div", { className: "heat" }, svg("svg", { viewBox: `0 0 ${right} ${down}`, "aria-hidden": "true" },
    svg("image", { href: address, width: right, height: down, preserveAspectRatio: "none" }), ...spots));
}
function drawSpans(own, series, name) {
  const share = strength(own), picture = drawSeries(series, name), wide = 100 / Math.max(1, series.length);
  for (const [part, value] of own) {
    const [first, end] = part.place;
    picture.prepend(svg("rect", { x: first * wide, y: 0, width: (end - first) * wide, height: 40, class: value < 0 ? "minus" : "plus", "fill-opacity": (0.5 * share(value)).toFixed(3) }));
  }
  return picture;
}
function changeWords(item) {
  if (item.after === null) return word("noChange");
  const cells = item.cells.map(([column, before, after]) => `${column}: ${cellOf(before) || word("missing")} → ${cellOf(after) || word("missing")}`).join("; ");
  return `${cells} ⇒ ${item.before} ${word("becomes")} ${item.after}`;
}
const cellOf = (text) => text.replace(/T00:00:00(\.0+)?$/, "").replace(/(T\d\d:\d\d:\d\d)\.0+$/, "$1");
const partName = (part) => `${part.column}${part.place.length ? ` [${part.place.join(", ")}]` : ""}${part.shown ? ` = ${cellOf(part.shown).slice(0, 40)}` : ""}`;
