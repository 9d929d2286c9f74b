// Draws the page's charts in the colours of the reader's theme, and again when the theme changes.
"use strict";
(() => {
  const { charts } = JSON.parse(document.getElementById("page-data").textContent);
  const touch = matchMedia("(pointer: coarse)").matches;

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

  const axis = (name, own) => ({
    gridcolor: "@rule", linecolor: "@rule", zeroline: false, automargin: true, ticks: "",
    spikecolor: "@faint", spikethickness: 1, spikedash: "solid",
    ...(name[0] === "x" ? { showgrid: false, showline: true, ticks: "outside", ticklen: 4, tickcolor: "@rule",
                            nticks: innerWidth < 600 ? 5 : 9 } : { fixedrange: true, nticks: 6 }),
    ...(touch ? { fixedrange: true } : {}),
    ...own,
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

  const draw = async () => {
    const css = getComputedStyle(document.documentElement);
    const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset" };
    for (const { id, figure } of charts) {
      const { data, layout: own } = painted({ data: figure.data, layout: layout(figure.layout) }, css);
      if (document.getElementById(id)) await Plotly.react(id, data, own, config);
    }
    document.documentElement.dataset.charts = "drawn";
  };

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
