// Opens a live page in headless Chromium and notes what it shows until its input ends; then looks at the page
// at every width. Prints JSON.
//   node watch_page.mjs '{"url": "http://127.0.0.1:8080/", "widths": [1280, 400], "shots": "/folder"}'
import { faults, shoot, start } from "./browser.mjs";

const request = JSON.parse(process.argv[2]);
const EVERY = 50; // milliseconds between two notes

let ended = false;
process.stdin.on("end", () => { ended = true; }).resume();

// Runs in the page.
function note() {
  const text = (id) => document.getElementById(id)?.textContent.trim() ?? "";
  return {
    block: Number(document.getElementById("block")?.value ?? 0),
    verdict: text("verdict"), link: text("link"),
    events: Number(document.documentElement.dataset.events ?? 0),
  };
}

// Runs in the page.
function look() {
  const root = document.documentElement;
  const named = (node) => node.tagName + (node.id ? `#${node.id}` : "");
  const wide = [...document.querySelectorAll("body *")]
    .filter((node) => node.getBoundingClientRect().right > root.clientWidth + 1).slice(0, 5).map(named);
  return {
    scrollWidth: root.scrollWidth, clientWidth: root.clientWidth, wide,
    background: getComputedStyle(document.body).backgroundColor,
    headings: [...document.querySelectorAll("h1, h2, h3")].map((node) => node.textContent.trim()),
    status: [...document.querySelectorAll("[role=status]")].map((node) => node.id),
    // Every column and row of a table has a name.
    unnamed: [...document.querySelectorAll("table")].filter((table) =>
      [...table.querySelectorAll("tbody tr")].some((row) => !row.querySelector("th[scope=row]"))).map(named),
    tables: document.querySelectorAll("table").length,
    figures: Object.fromEntries([...document.querySelectorAll("data[data-path]")].map((node) =>
      [node.dataset.path, node.value])),
    sections: Object.fromEntries([...document.querySelectorAll("section")].map((node) => [node.id, node.textContent])),
  };
}

const browser = await start();
const seen = { problems: [], requests: [], notes: [], looks: [] };
try {
  const page = await browser.newPage();
  page.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) seen.problems.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => seen.problems.push(`error: ${error.message}`));
  page.on("request", (sent) => seen.requests.push(sent.url()));
  await page.goto(request.url, { waitUntil: "load" });
  let last = "";
  while (!ended) {
    const now = await page.evaluate(note).catch(() => undefined); // it may be loading itself anew
    if (now && JSON.stringify(now) !== last) {
      last = JSON.stringify(now);
      seen.notes.push({ at: Date.now(), ...now });
      process.stderr.write(`${last}\n`);
    }
    await new Promise((resolve) => { setTimeout(resolve, EVERY); });
  }
  for (const width of request.widths) {
    for (const scheme of ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.setViewport({ width, height: 900, isMobile: width < 600, hasTouch: width < 600 });
      // Charts take the new width a moment later.
      await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, { timeout: 5000 }).catch(() => null);
      seen.looks.push({ width, scheme, ...await page.evaluate(look), faults: request.axe ? await faults(page) : [] });
      if (request.shots) await shoot(page, request.shots, `live-${width}-${scheme}`, width);
    }
  }
} finally {
  await browser.close();
}
process.stdout.write(JSON.stringify(seen));
