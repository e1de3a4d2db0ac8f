"use strict";
/* Tabs, languages, and what listens to what. */
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
  const row = state.facts ? currentRow() : null; // before words change: some are values of controls
  state.words = WORDS[language];
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", word(node.dataset.label));
  for (const node of document.querySelectorAll("[data-title]")) node.title = word(node.dataset.title);
  if (!row) return;
  drawAbout();
  drawForm(row);
  redrawAnswer();
  if (!at("panel-report").hidden) showReport();
}
function tabbed() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: -1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = tabs[(to + tabs.length) % tabs.length];
      select(next);
      next.focus();
    });
  });
}
function keyed() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) history.replaceState(null, "", location.pathname);
  at("key").value = given || sessionStorage.getItem("trueweight-key") || "";
  if (given) sessionStorage.setItem("trueweight-key", given);
  at("key").addEventListener("change", () => { sessionStorage.setItem("trueweight-key", at("key").value.trim()); loadModels(); });
}

document.addEventListener("DOMContentLoaded", () => {
  keyed();
  tabbed();
  at("language").value = (navigator.language || "en").startsWith("zh") ? "zh" : "en";
  at("language").addEventListener("change", () => speak(at("language").value));
  speak(at("language").value);
  at("model").addEventListener("change", () => choose(at("model").value).catch(complain));
  at("form").addEventListener("submit", (event) => { event.preventDefault(); answer(false); });
  at("form").addEventListener("input", drawCalls);
  at("form").addEventListener("change", drawCalls);
  at("why").addEventListener("click", () => answer(true));
  at("stop").addEventListener("click", () => state.running && state.running.abort());
  at("example").addEventListener("click", () => { state.media = {}; if (state.facts) drawForm(state.facts.row.example); });
  at("clear").addEventListener("click", () => { state.media = {}; if (state.facts) drawForm({}); });
  dropped(at("many-drop"), (files) => { at("many-file").files = files; });
  at("many-go").addEventListener("click", () => answerMany().catch(complain));
  at("many-stop").addEventListener("click", () => state.many && state.many.abort());
  at("docs-show").addEventListener("click", () => showDocs().catch(complain));
  for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", () => copy(at(button.dataset.copy)));
  loadModels();
});
