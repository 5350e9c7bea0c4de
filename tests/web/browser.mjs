// node browser.mjs PORT CHROMIUM: serves the bundled page at this port and lets Chromium run what standard input asks for, one
// JSON array of a function and its arguments on each line; prints what each returns.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [port, executablePath] = process.argv.slice(2);
const script = readFileSync(new URL("./page.js", import.meta.url));
const server = createServer((request, response) => {
  const page = request.url === "/";
  response.setHeader("Content-Type", page ? "text/html" : "text/javascript");
  response.end(page ? '<!doctype html><script src="/page.js"></script>' : script);
}).listen(Number(port), "127.0.0.1");
const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, headless: true, args, timeout: 120000 });
const page = await browser.newPage();
await page.goto(`http://127.0.0.1:${port}/`);
console.log(JSON.stringify(await page.evaluate(() => navigator.userAgent)));
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...values] = JSON.parse(line);
  const result = await page.evaluate(
    async ([name, values]) => {
      try {
        return await window[name](...values);
      } catch (error) {
        return { thrown: `${error}`, stack: `${error.stack}` };
      }
    },
    [name, values],
  );
  console.log(JSON.stringify(result));
}
await browser.close();
server.close();
