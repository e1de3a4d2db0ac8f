() => {
  const found = [], seen = (node) => node.getClientRects().length > 0 && getComputedStyle(node).visibility !== "hidden";
  const told = (node) => `${node.tagName.toLowerCase()}#${node.id}.${String(node.className.baseVal ?? node.className)}`;
  const channels = (text) => { const all = (text.match(/[\d.]+/g) || []).map(Number); return all.length < 4 ? [...all, 1] : all; };
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (one, two) => { const [a, b] = [light(one), light(two)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
  };
  const name = (node) => node.getAttribute("aria-label") || (node.getAttribute("aria-labelledby") || "").split(" ").map((id) => (document.getElementById(id) || {}).textContent || "").join("") || [...(node.labels || [])].map((label) => label.textContent).join("") || node.title || (["BUTTON", "SUMMARY"].includes(node.tagName) ? node.textContent : "");

  /* Every control has a name; every id is there once and every reference leads somewhere. */
  for (const node of document.querySelectorAll("button, input, select, textarea, summary, progress, iframe, audio, [tabindex='0'], [role=img]")) {
    if (seen(node) && !name(node).trim()) found.push(`no name: ${told(node)}`);
  }
  for (const node of document.querySelectorAll("img")) if (!node.hasAttribute("alt")) found.push(`no alt: ${told(node)}`);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  for (const id of new Set(ids)) if (ids.filter((one) => one === id).length > 1) found.push(`id twice: ${id}`);
  for (const key of ["for", "aria-labelledby", "aria-describedby", "aria-controls"]) {
    for (const node of document.querySelectorAll(`[${key}]`)) for (const id of node.getAttribute(key).split(" ")) if (!document.getElementById(id)) found.push(`${key} leads nowhere: ${id}`);
  }
  /* One first heading, and none skipped. */
  const heads = [...document.querySelectorAll("h1, h2, h3, h4")].filter(seen).map((node) => Number(node.tagName[1]));
  if (heads.filter((level) => level === 1).length !== 1) found.push("not one h1");
  heads.forEach((level, place) => { if (place && level > heads[place - 1] + 1) found.push(`h${level} after h${heads[place - 1]}`); });
  /* Live regions, landmarks, languages. */
  if (document.querySelectorAll("[role=status]").length < 3 || !document.querySelector("[role=alert]")) found.push("no live regions");
  if (document.querySelectorAll("main").length !== 1 || !document.querySelector("header")) found.push("no landmarks");
  if (!document.documentElement.lang || !document.title) found.push("no language or title");
  /* Text of 4.5 to 1, borders of controls of 3 to 1. */
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !seen(node) || ["SCRIPT", "OPTION"].includes(node.tagName) || node.disabled) continue;
    const value = ratio(channels(getComputedStyle(node).color), behind(node));
    if (value < 4.5) found.push(`contrast ${value.toFixed(2)}: ${told(node)} ${walk.currentNode.textContent.trim().slice(0, 30)}`);
  }
  for (const node of document.querySelectorAll("input:not([type=file]):not([type=checkbox]), select, textarea")) {
    if (seen(node) && ratio(channels(getComputedStyle(node).borderTopColor), behind(node.parentElement)) < 3) found.push(`border: ${told(node)}`);
  }
  if (document.documentElement.scrollWidth > document.documentElement.clientWidth) found.push("too wide");
  return found;
}
