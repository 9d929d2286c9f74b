// Explains each coined word where it first stands in a section: by pointing, tap or keyboard.
"use strict";
const Words = (() => {
  const WHERE = ".verdict, p, .tile dt, .tile .note, .shares span, .whole p, figcaption, dl.record dt, tbody th, thead th, summary";
  const NOT = "a, button, code, data, time, select, [data-tip], [aria-hidden=true], noscript";
  const known = JSON.parse(document.getElementById("words").textContent);
  const texts = new Map(Object.values(known).flatMap(({ forms, text }) => forms.map((form) => [form, text])));
  const any = new RegExp(`(?<![\\w-])(${[...texts.keys()].sort((a, b) => b.length - a.length).join("|")})(e?s)?(?![\\w-])`, "i");

  function mark(root) {
    const seen = new Map(); // by section, what has been explained in it
    const places = [...root.querySelectorAll(WHERE)].filter((each) => !each.closest(NOT));
    for (const place of places) {
      const section = place.closest("section, header, footer");
      if (!seen.has(section)) seen.set(section, new Set());
      const done = seen.get(section);
      const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
      for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (node.parentElement.closest(NOT)) continue;
        const match = any.exec(node.data);
        const text = match && texts.get(match[1].toLowerCase());
        if (!text || done.has(text)) continue;
        done.add(text);
        if (place.matches("thead th")) { // its button, if it gets one, is what says it
          place.dataset.tip = text;
          break;
        }
        const word = document.createElement("span");
        word.className = "word";
        word.dataset.tip = text;
        const rest = node.splitText(match.index);
        rest.data = rest.data.slice(match[0].length);
        word.textContent = match[0];
        rest.before(word);
        walker.currentNode = word.firstChild; // what follows is looked at next
      }
    }
  }
  return { mark };
})();
