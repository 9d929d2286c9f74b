// Starts headless Chromium and takes pictures. Exit code 3 and one line on stderr: it did not start.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const SHOT = 1400; // pixels of the page per picture

// A bare machine has neither the browser's libraries nor any font: its package carries both.
function fillIn() {
  const has = (name) => ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"]
    .some((folder) => existsSync(join(folder, name)));
  if (!has("libnss3.so")) process.env.AWS_LAMBDA_JS_RUNTIME ??= "nodejs22.x"; // asks it to unpack its libraries
  const fonts = join(tmpdir(), "fonts");
  const config = join(tmpdir(), "fonts.conf");
  writeFileSync(config, `<?xml version="1.0"?><fontconfig><dir>/usr/share/fonts</dir><dir>${fonts}</dir>` +
    `<cachedir>${fonts}-cache</cachedir></fontconfig>`);
  process.env.FONTCONFIG_FILE ??= config;
}

export async function start() {
  try {
    fillIn();
    const { default: chromium } = await import("@sparticuz/chromium");
    const { default: puppeteer } = await import("puppeteer-core");
    const executablePath = await chromium.executablePath();
    return await puppeteer.launch({ args: chromium.args, executablePath, headless: "shell" });
  } catch (error) {
    const why = String(error.message).replace(/\s+/g, " ").trim().slice(0, 300);
    console.error(`Chromium did not start; \`make testtools\` installs it: ${why}`);
    process.exit(3);
  }
}

// What axe-core finds wrong with a page for readers with other senses or tools.
export async function faults(page) {
  await page.evaluate(readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  return page.evaluate(async () => (await window.axe.run(document, { resultTypes: ["violations"] })).violations
    .map((each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => node.html.slice(0, 120)).join(" | ")} (${each.nodes.length})`));
}

export async function shoot(page, folder, name, width) {
  mkdirSync(folder, { recursive: true });
  const full = await page.evaluate(() => document.documentElement.scrollHeight);
  for (let y = 0, part = 0; y < full; y += SHOT, part++) {
    const clip = { x: 0, y, width, height: Math.min(SHOT, full - y) };
    await page.screenshot({ path: join(folder, `${name}-${part}.png`), clip, captureBeyondViewport: true });
  }
}
