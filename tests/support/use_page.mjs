// Uses pages in headless Chromium as a reader would, step by step, and prints what each step gave as JSON.
//   node use_page.mjs '{"visits": [{"page": "/a/report.html", "width": 1400, "scheme": "dark",
//                      "steps": [{"press": "Tab"}, {"read": "document.title"}, {"axe": true}]}]}'
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { faults, shoot, start } from "./browser.mjs";

const request = JSON.parse(process.argv[2]);

async function saved(folder) {
  for (let tries = 0; tries < 200; tries++) {
    const [name] = readdirSync(folder).filter((each) => !each.endsWith(".crdownload"));
    const content = name ? readFileSync(join(folder, name)) : ""; // it is there before what is in it
    if (content.length) return { name, text: content.toString(name.endsWith(".csv") ? "utf8" : "base64") };
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
  return null;
}

async function step(page, { click, press, type, read, until, save, axe: checked, shot, media, pdf, times = 1 }) {
  if (click) return page.click(click);
  if (until) return page.waitForFunction(until, { timeout: 20000 }).then(() => null);
  if (type) return page.keyboard.type(type);
  if (press) { for (let i = 0; i < times; i++) await page.keyboard.press(press); return null; }
  if (save) {
    const folder = mkdtempSync(join(tmpdir(), "saved-"));
    const session = await page.createCDPSession();
    await session.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder });
    await page.focus(save);
    await page.keyboard.press("Enter");
    return saved(folder);
  }
  if (media) return page.emulateMediaType(media).then(() => null);
  if (pdf) return page.pdf({ path: pdf, format: "a4", preferCSSPageSize: true, outline: true }).then(() => null);
  if (checked) return faults(page);
  if (shot) return page.screenshot({ path: shot }).then(() => null);
  return page.evaluate(read);
}

async function visit(browser, { page: path, width = 1400, scheme = "light", hash = "", steps, shots }) {
  const page = await browser.newPage();
  const problems = [];
  page.on("console", (message) => problems.push(`console: ${message.text()}`));
  page.on("pageerror", (error) => problems.push(`error: ${error.message}`));
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.setViewport({ width, height: 900, isMobile: width < 600, hasTouch: width < 600 });
  await page.goto(pathToFileURL(path).href + hash, { waitUntil: "load" });
  await page.waitForFunction(() => document.documentElement.dataset.charts === "drawn", { timeout: 20000 });
  const gave = [];
  for (const each of steps) gave.push(await step(page, each) ?? null);
  if (shots) await shoot(page, shots, `${path.split("/").at(-2)}-${width}-${scheme}`, width);
  await page.close();
  return { page: path, width, scheme, problems, gave };
}

const browser = await start();
const visits = [];
try {
  for (const each of request.visits) visits.push(await visit(browser, each));
} finally {
  await browser.close();
}
process.stdout.write(JSON.stringify(visits));
