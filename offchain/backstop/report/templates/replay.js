// Shows a run at the moment that its slider stands at: prices, auctions, stages and keepers.
"use strict";
(() => {
  const section = document.getElementById("replay");
  if (!section) return;
  const told = JSON.parse(document.getElementById("replay-data").textContent);
  const { make } = Tables;
  const [slider, when, play] = ["at", "when", "play"].map((name) => document.getElementById(`replay-${name}`));
  const list = (name, rows) => document.getElementById(`replay-${name}`).replaceChildren(...rows);
  const clock = (at) => new Date(at).toLocaleString("en-GB", // as everywhere on the page: 12 Mar 23:20
    { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" }).replace(",", "");
  const item = (color, head, text, part) => make("li", {},
    ...(color ? [make("i", { style: `background: var(--${color}, var(--fourth))` })] : []), make("b", {}, head), " ", text,
    ...(part === undefined ? [] : [make("span", { class: "bar", style: `width: ${part / 10}%; background: var(--${color}, var(--fourth))` })]));

  const auction = (id) => {
    const { symbol, debt, since } = told.auctions[id];
    const minutes = Math.round((told.times[slider.value] - since) / 60000);
    const name = document.getElementById(`auction-${id}`) ? make("a", { href: `#auction-${id}` }, `auction ${id}`) : `auction ${id}`;
    return make("li", {}, name, ` of ${symbol}: ${debt} of debt, open for ${minutes} min`);
  };

  const show = () => {
    const i = Number(slider.value);
    const time = clock(told.times[i]);
    when.textContent = `${time} UTC`;
    slider.setAttribute("aria-valuetext", `${time} UTC`);
    list("prices", told.types.map(({ symbol, color, market, feed, change, unsafe }) =>
      item(color, symbol, `${market[i]} (${change[i]} since the start), the feed says ${feed[i]}; unsafe vaults: ${unsafe[i]}`)));
    const { count, largest } = told.open[i];
    list("auctions", [
      make("li", {}, make("b", {}, String(count)), " open", ...told.types.map(({ symbol, debt }) => `; ${debt[i]} of debt in ${symbol}`)),
      ...largest.map(auction)]);
    list("stages", [
      make("li", {}, make("b", {}, told.lost.text[i]), " lost so far, ", make("b", {}, told.outstanding[i]), " of it not yet covered"),
      ...told.stages.map(({ stage, color, text, part }) => item(color, stage.replaceAll("_", " "), text[i], part[i]))]);
    list("keepers", told.done[i].length === 0 ? [make("li", {}, "Nothing yet.")]
      : told.done[i].map((place) => make("li", {}, make("b", {}, clock(told.acts[place].at)), ` ${told.acts[place].text}`)));
    const at = told.times[i];
    const cursor = { type: "line", xref: "x", yref: "paper", x0: at, x1: at, y0: 0, y1: 1,
                     line: { width: 1.5, color: getComputedStyle(document.documentElement).getPropertyValue("--ink").trim() } };
    if (document.documentElement.dataset.charts === "drawn") Plotly.relayout("replay-chart", { shapes: [cursor] });
  };

  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
    play.setAttribute("aria-pressed", "false");
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    play.textContent = "Pause";
    play.setAttribute("aria-pressed", "true");
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (slider.value === slider.max) stop();
    }, 150);
  });
  slider.addEventListener("input", show);
  document.addEventListener("charts-drawn", show); // anew where the theme changes, without the line
  section.hidden = false; // before the charts are drawn: what is hidden has no width
  show();
})();
