// Draws the page's charts in the colours of the reader's theme, and again when the theme changes. Each can be
// saved as a picture, read as a table, and shows the span of time that the reader chose for all.
"use strict";
const Charts = (() => {
  const { charts } = JSON.parse(document.getElementById("page-data").textContent);
  const touch = matchMedia("(pointer: coarse)").matches;
  const { make, save, slug } = Tables;

  // "@name" is a colour of page.css, "@name:40" that colour with an alpha of 40, in hex.
  const painted = (node, css) => {
    if (typeof node === "string" && node[0] === "@") {
      const [name, alpha = ""] = node.slice(1).split(":");
      return css.getPropertyValue("--" + name).trim() + alpha;
    }
    if (Array.isArray(node)) return node.map((item) => painted(item, css));
    if (node && typeof node === "object") {
      return Object.fromEntries(Object.entries(node).map(([key, item]) => [key, painted(item, css)]));
    }
    return node;
  };

  // On a telephone the names of bars stand in two lines, so that bars have room too; "Data" has them whole.
  const NARROW = 600, LETTERS = 22;
  const folded = (text) => {
    const lines = [""];
    for (const word of text.split(" ")) {
      const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
      if (longer.length <= LETTERS || !lines.at(-1)) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    const short = lines.map((line) => (line.length > LETTERS ? `${line.slice(0, LETTERS - 1)}\u2026` : line));
    return short.length > 2 ? `${short[0]}<br>${short[1].slice(0, LETTERS - 1)}\u2026` : short.join("<br>");
  };

  const axis = (name, own) => ({
    gridcolor: "@rule", linecolor: "@rule", zeroline: false, automargin: true, ticks: "",
    spikecolor: "@faint", spikethickness: 1, spikedash: "solid",
    ...(name[0] === "x" ? { showgrid: false, showline: true, ticks: "outside", ticklen: 4, tickcolor: "@rule",
                            ticklabelstandoff: 4, // or the first meets that of the other axis in the corner
                            nticks: innerWidth < NARROW ? 5 : 9 } : { fixedrange: true, nticks: 6 }),
    ...(touch ? { fixedrange: true } : {}),
    ...own,
    ...(innerWidth < NARROW && name[0] === "y" && own.ticktext ? { ticktext: own.ticktext.map(folded), tickfont: { ...own.tickfont, size: 11 } } : {}),
  });

  const layout = (own) => {
    const axes = Object.entries(own).filter(([key]) => /^[xy]axis\d*$/.test(key));
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "@muted" },
      paper_bgcolor: "#0000", plot_bgcolor: "#0000", showlegend: false, bargap: 0,
      margin: { l: 8, r: 12, t: 22, b: 8 },
      hovermode: "x unified", hoversubplots: "axis", dragmode: touch ? false : "zoom",
      hoverlabel: { bgcolor: "@wash", bordercolor: "@rule", font: { color: "@ink", size: 12 } },
      ...own,
      ...Object.fromEntries(axes.map(([key, value]) => [key, axis(key, value)])),
    };
  };

  const draw = async (only = charts.map(({ id }) => id)) => {
    const css = getComputedStyle(document.documentElement);
    const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset" };
    for (const { id, figure } of charts.filter((each) => only.includes(each.id))) {
      const { data, layout: own } = painted({ data: figure.data, layout: layout(figure.layout) }, css);
      if (chosen && own.xaxis?.type === "date") own.xaxis.range = [...chosen];
      if (document.getElementById(id)) await Plotly.react(id, data, own, config);
    }
    document.documentElement.dataset.charts = "drawn";
    document.dispatchEvent(new Event("charts-drawn"));
  };

  // A chart as a picture, on the page's own ground and under its name.
  const picture = async (plot, title) => {
    const css = getComputedStyle(document.documentElement);
    const ground = css.getPropertyValue("--paper").trim();
    const heading = { text: title, x: 0.02, xanchor: "left", font: { size: 16, color: css.getPropertyValue("--ink").trim() } };
    const own = { ...plot.layout, paper_bgcolor: ground, plot_bgcolor: ground, title: heading, margin: { l: 24, r: 24, t: 64, b: 24 } };
    const url = await Plotly.toImage({ data: plot.data, layout: own }, { format: "png", scale: 2, width: 1000, height: plot.clientHeight + 60 });
    save(`${slug(title)}.png`, Uint8Array.from(atob(url.split(",")[1]), (each) => each.charCodeAt(0)), "image/png");
  };

  // The points of a chart as rows: which series, where, how much.
  const written = (value, own) => {
    if (value === null || value === undefined) return "–";
    const place = own?.tickvals?.indexOf(value) ?? -1;
    if (own?.ticktext && place >= 0) return own.ticktext[place];
    if (own?.type === "date") {
      const at = new Date(value).toISOString();
      return make("time", { datetime: at.replace(".000", "") }, `${at.slice(0, 10)} ${at.slice(11, 16)}`);
    }
    return typeof value === "number" ? value.toLocaleString("en", { maximumSignificantDigits: 6 }) : String(value);
  };
  const interval = (trace, i) => {
    const [bars, at] = trace.error_x?.array ? [trace.error_x, trace.x[i]] : [trace.error_y ?? {}, trace.y[i]];
    const [less, more] = [bars.arrayminus?.[i], bars.array?.[i]];
    return [less == null ? null : at - less, more == null ? null : at + more].map((end) => written(end));
  };
  const named = (own) => own?.title?.text ?? "";
  const points = ({ data, layout: own }) => {
    const lying = data.some((trace) => trace.orientation === "h");
    const heads = ["Series", (lying ? named(own.yaxis) : named(own.xaxis)) || "Of", (lying ? named(own.xaxis) : named(own.yaxis)) || "Value"];
    const rows = [];
    const bounded = data.some((trace) => trace.error_x?.array || trace.error_y?.array);
    if (bounded) heads.push("From", "To");
    for (const trace of data) {
      if (trace.mode === "text" || (!trace.name && trace.hoverinfo === "skip") || !trace.x) continue;
      if (trace.z) {
        trace.z.forEach((line, i) => line.forEach((cell, j) => {
          rows.push([written(trace.y[i], own.yaxis), written(trace.x[j], own.xaxis), trace.text?.[i]?.[j] ?? written(cell)]);
        }));
        continue;
      }
      trace.x.forEach((x, i) => {
        const [across, up] = [own.xaxis, own[(trace.yaxis ?? "y").replace("y", "yaxis")]];
        const exact = typeof trace.customdata?.[i] === "string" && trace.customdata[i];
        const value = exact || written(lying ? x : trace.y[i], lying ? across : up);
        rows.push([trace.name ?? "", lying ? written(trace.y[i], up) : written(x, across), value]);
        if (bounded) rows.at(-1).push(...interval(trace, i));
      });
    }
    return { heads, rows };
  };
  const tabled = (id, title) => {
    const { heads, rows } = points(charts.find((each) => each.id === id).figure);
    const table = make("table", { "data-first": 20, "data-key": `data-${id}`, "aria-label": `${title}: data` },
      make("thead", {}, make("tr", {}, ...heads.map((head, i) => make("th", { scope: "col", class: i < 2 ? "l" : null }, head)))),
      make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell, i) => make("td", { class: i < 2 ? "l" : null }, cell))))));
    return make("div", { class: "table" }, table);
  };

  const timed = charts.filter(({ id, figure }) => figure.layout.xaxis?.type === "date" && document.getElementById(id));
  for (const { id, title } of charts) {
    const plot = document.getElementById(id);
    if (!plot) continue;
    const box = plot.closest("figure");
    const heading = Tables.named(plot.closest("section")?.querySelector("h2"));
    const whole = box.querySelector("figcaption") && heading ? `${heading}: ${title}` : title;
    const data = make("details", { class: "data" }, make("summary", { "aria-label": `Data of ${whole}` }, "Data"));
    data.addEventListener("toggle", () => {
      if (data.open && !data.querySelector("table")) { data.append(tabled(id, whole)); Tables.all(data); }
    });
    box.append(make("div", { class: "chart-tools" },
      make("button", { type: "button", class: "png", "aria-label": `PNG of ${whole}`, onclick: () => picture(plot, whole) }, "PNG")), data);
  }

  // One span of time for all charts over time: chosen by dragging in one of them, or with two sliders. A section
  // with a slider of its own has these nowhere else.
  const ends = () => [
    Math.min(...timed.map(({ figure }) => figure.layout.xaxis.range[0])),
    Math.max(...timed.map(({ figure }) => figure.layout.xaxis.range[1]))];
  let [from, until] = ends();
  let chosen = null; // what the reader chose to see; null: all of it
  const STEPS = 200;
  const sliders = [];
  let busy = false;
  const placed = () => {
    const [low, high] = chosen ?? [from, until];
    for (const [slider, at] of sliders.flatMap(({ first, last }) => [[first, low], [last, high]])) {
      slider.value = Math.round((at - from) / (until - from) * STEPS);
      slider.setAttribute("aria-valuetext", new Date(at).toISOString().slice(0, 16).replace("T", " "));
    }
    for (const { said } of sliders) {
      const text = chosen ? chosen.map((at) => new Date(at).toISOString().slice(5, 16).replace("T", " ")).join(" to ") : "all of it";
      if (said.textContent !== text) said.textContent = text;
    }
  };
  const zoom = async (low, high, origin) => {
    busy = true;
    chosen = low <= from && high >= until ? null : [low, high];
    for (const { id, figure } of timed) {
      if (id !== origin) await Plotly.relayout(id, { "xaxis.range": [...(chosen ?? figure.layout.xaxis.range)] });
    }
    placed();
    busy = false;
  };
  const followed = () => {
    const sections = new Set(timed.map(({ id }) => document.getElementById(id).closest("section")).filter((each) => each && !each.querySelector("input[type=range]")));
    for (const section of sections) {
      const slide = (name, value) => make("input", { type: "range", min: 0, max: STEPS, value, "aria-label": `Time shown, ${name}` });
      const entry = { first: slide("from", 0), last: slide("until", STEPS), said: make("output", {}, "all of it") };
      const move = (moved) => {
        const at = (slider) => from + Number(slider.value) / STEPS * (until - from);
        if (Number(entry.last.value) - Number(entry.first.value) < 2) {
          if (moved === entry.first) entry.first.value = Number(entry.last.value) - 2;
          else entry.last.value = Number(entry.first.value) + 2;
        }
        zoom(at(entry.first), at(entry.last));
      };
      for (const slider of [entry.first, entry.last]) slider.addEventListener("change", () => move(slider));
      sliders.push(entry);
      const first = timed.map(({ id }) => document.getElementById(id).closest("figure")).find((each) => section.contains(each));
      (first.closest(".grid, .pair") ?? first).before(make("div", { class: "span" }, "Time shown", entry.first, entry.last, entry.said));
    }
    for (const { id } of timed) {
      document.getElementById(id).on("plotly_relayout", (news) => {
        if (busy) return;
        const range = news["xaxis.range"] ?? [news["xaxis.range[0]"], news["xaxis.range[1]"]];
        const [low, high] = range.map((each) => (typeof each === "string" ? Date.parse(`${each.replace(" ", "T")}Z`) : each));
        if (Number.isFinite(low) && Number.isFinite(high)) zoom(low, high, id);
        else if (news["xaxis.autorange"]) zoom(from, until);
      });
    }
  };

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
  // On paper charts have its colours and the width of its one column (page.css), whatever the window's was.
  const PAPER = 680;
  const paper = matchMedia("print");
  paper.addEventListener("change", async () => {
    await draw();
    for (const { id } of charts) {
      if (document.getElementById(id)) await Plotly.relayout(id, paper.matches ? { width: PAPER } : { width: null, autosize: true });
    }
    document.documentElement.dataset.paper = paper.matches;
  });

  // A live page has new figures for its charts: a reader keeps the span of time, and a table that is open stays.
  const renew = async (news) => {
    const names = Object.keys(news);
    if (!names.length) return;
    for (const entry of charts.filter(({ id }) => names.includes(id))) {
      const { figure, label, legend } = news[entry.id];
      entry.figure = figure;
      const plot = document.getElementById(entry.id);
      const box = plot.closest("figure");
      plot.setAttribute("aria-label", label);
      box.querySelector(".legend")?.remove();
      plot.insertAdjacentHTML("beforebegin", legend);
      const data = box.querySelector("details.data");
      if (!data.open) data.replaceChildren(data.querySelector("summary"));
    }
    [from, until] = ends();
    if (chosen && (chosen[1] <= from || chosen[0] >= until)) chosen = null;
    busy = true;
    await drawn;
    await draw(names);
    placed();
    busy = false;
  };
  const drawn = draw().then(followed);
  return { renew };
})();
