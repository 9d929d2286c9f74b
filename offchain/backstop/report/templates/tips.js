// Says more about what is pointed at, tapped, or reached by keyboard: a figure's digits, a word's meaning.
"use strict";
(() => {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);
  const SAYS = "data[title], [data-tip]";
  let owner = null;

  const hide = () => {
    owner?.removeAttribute("aria-describedby");
    owner = null;
    tip.hidden = true;
  };
  const show = (node) => {
    if (owner !== node) hide();
    owner = node;
    tip.textContent = node.dataset.tip ?? node.title;
    tip.hidden = false;
    node.setAttribute("aria-describedby", "tip");
    const at = node.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth;
    tip.style.left = `${scrollX + Math.max(8, Math.min(at.left, room - own.width - 8))}px`;
    tip.style.top = `${scrollY + (at.top > own.height + 12 ? at.top - own.height - 6 : at.bottom + 6)}px`;
  };

  document.addEventListener("click", (event) => {
    const node = event.target.closest?.(SAYS);
    if (node) show(node);
    else if (!event.target.closest?.("#tip")) hide();
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches?.(SAYS) && event.target.matches(":focus-visible")) show(event.target);
    else if (event.target !== owner) hide();
  });
  document.addEventListener("pointerover", (event) => {
    const node = event.target.closest?.("[data-tip]");
    if (node && event.pointerType === "mouse") show(node);
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  // Outside of tables each such figure is a stop of the Tab key; in tables arrows go from one to the next.
  const stops = (root) => root.querySelectorAll(SAYS).forEach((node) => {
    if (!node.closest("tbody") && !node.hasAttribute("tabindex")) node.tabIndex = 0;
  });
  new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach((node) => {
    if (node.nodeType === Node.ELEMENT_NODE) stops(node);
  }))).observe(document.body, { childList: true, subtree: true });
  stops(document);
})();
