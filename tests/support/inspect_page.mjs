// Opens pages in headless Chromium and prints what it saw as JSON.
//   node inspect_page.mjs '{"pages": ["/a/report.html"], "widths": [1280, 360], "shots": "/folder"}'
import { basename, dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { faults, shoot, start } from "./browser.mjs";

const request = JSON.parse(process.argv[2]);
const HEIGHT = 800;

// Runs in the page.
function read() {
  const plots = [...document.querySelectorAll(".plot")].map((plot) => ({
    id: plot.id,
    label: plot.getAttribute("aria-label"),
    marks: plot.querySelectorAll("svg .trace path, svg .trace text, svg .points path, svg .lines path").length,
    width: plot.querySelector("svg.main-svg")?.getBoundingClientRect().width ?? 0,
  }));
  const figures = [...document.querySelectorAll("data[data-path]")].map((node) => ({
    path: node.dataset.path, unit: node.dataset.unit, value: node.value, text: node.textContent, title: node.title,
  }));
  // Axes that do not say what they measure: by a title, by a panel's heading, or by names at their ticks.
  const { charts } = JSON.parse(document.getElementById("page-data").textContent);
  const untitled = charts.flatMap(({ id, figure: { layout } }) => Object.entries(layout)
    .filter(([key, axis]) => /^[xy]axis/.test(key) && !axis.title?.text && !axis.ticktext &&
      !(key[0] === "y" && layout.annotations?.some((each) => each.yref === "paper" && each.y === (axis.domain?.[1] ?? 1))))
    .map(([key]) => `${id} ${key}`));
  const root = document.documentElement;
  const wide = [...document.querySelectorAll("body *")]
    .filter((node) => node.getBoundingClientRect().right > root.clientWidth + 1)
    .slice(0, 5)
    .map((node) => `${node.tagName} ${node.className?.baseVal ?? node.className}`);
  return {
    title: document.title,
    heading: document.querySelector("h1")?.textContent.trim(),
    drawn: root.dataset.charts === "drawn",
    summary: document.getElementById("summary")?.textContent,
    background: getComputedStyle(document.body).backgroundColor,
    scrollWidth: root.scrollWidth,
    clientWidth: root.clientWidth,
    wide, plots, figures, untitled,
  };
}

async function visit(browser, path, width, scheme) {
  const page = await browser.newPage();
  const problems = [];
  const requests = [];
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  page.on("requestfailed", (failed) => problems.push(`request failed: ${failed.url().slice(0, 100)}`));
  page.on("request", (sent) => requests.push(sent.url().slice(0, 100)));
  await page.setOfflineMode(true);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width, height: HEIGHT, isMobile: width < 600, hasTouch: width < 600 });
  await page.goto(pathToFileURL(path).href, { waitUntil: "load" });
  await page
    .waitForFunction(() => document.documentElement.dataset.charts === "drawn", { timeout: 20000 })
    .catch(() => problems.push("the charts were not drawn in 20 s"));
  const seen = await page.evaluate(read);
  if (request.shots) await shoot(page, request.shots, `${basename(dirname(path))}-${width}-${scheme}`, width);
  const found = request.axe && width === request.widths[0] ? await faults(page) : []; // once a theme
  await page.close();
  return { path, width, scheme, problems, requests, faults: found, ...seen };
}

const browser = await start();
const visits = [];
try {
  for (const path of request.pages) {
    for (const width of request.widths) {
      for (const scheme of request.schemes ?? ["light"]) visits.push(await visit(browser, path, width, scheme));
    }
  }
} finally {
  await browser.close();
}
process.stdout.write(JSON.stringify(visits));
