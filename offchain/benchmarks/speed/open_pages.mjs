// Opens a page some times in headless Chromium and prints, as JSON, the milliseconds until it is loaded and its
// charts are drawn, and those that a sort and a search of its longest table take.
//   node open_pages.mjs /a/report.html 3
import { pathToFileURL } from "node:url";
import { start } from "../../../tests/support/browser.mjs";

const [path, times] = process.argv.slice(2);
const TIMEOUT = 300_000;

async function open(browser) {
  const page = await browser.newPage();
  page.setDefaultTimeout(TIMEOUT);
  await page.setViewport({ width: 1400, height: 900 });
  const began = performance.now();
  await page.goto(pathToFileURL(path).href, { waitUntil: "load" });
  const loaded = performance.now() - began;
  await page.waitForFunction(() => document.documentElement.dataset.charts === "drawn");
  const drawn = performance.now() - began;
  const used = await page.evaluate(() => {
    const tables = [...document.querySelectorAll("section table")].filter((each) => each.search && each.querySelector(".sort"));
    const table = tables.sort((a, b) => b.rows.length - a.rows.length)[0];
    const took = (does) => { const from = performance.now(); does(); void document.body.offsetHeight; return performance.now() - from; };
    return table
      ? { sorted: took(() => table.querySelectorAll(".sort")[1].click()), searched: took(() => table.search("1")) }
      : { sorted: 0, searched: 0 };
  });
  await page.close();
  return { loaded, drawn, ...used };
}

const browser = await start();
const rows = [];
try {
  for (let i = 0; i < Number(times); i++) rows.push(await open(browser));
} finally {
  await browser.close();
}
process.stdout.write(JSON.stringify(rows));
