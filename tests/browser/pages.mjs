// The citizens' pages in Debian's Chromium, against a gateway of its own and an SMS gateway that keeps the codes.
//
//   node pages.mjs GATEWAY_BINARY [PICTURES_DIRECTORY]
//
// Everything is checked at 320 and at 1280 px, in both languages, with and without script; axe-core looks at every page. With
// a directory, a picture of each page is left there.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const WIDTHS = [320, 1280];
const REPORTER = "0912345678";
const SENDER = "0985931054";
const LONG_WAIT_MS = 10_000;

const [binary, pictures] = process.argv.slice(2);
assert.ok(binary, "name the gateway's binary");

/** Keeps the SMS that it is to send, as Kannel's page `sendsms` does. */
const startSmsGateway = async () => {
  const sent = [];
  const server = createServer((request, response) => {
    const query = new URL(request.url, "http://localhost").searchParams;
    sent.push({ to: query.get("to"), text: query.get("text") });
    response.writeHead(202, { "content-type": "text/plain" }).end("0: Accepted for delivery");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const code = () => sent.at(-1).text.match(/\d{6}/)[0];
  return { server, sent, code, url: `http://127.0.0.1:${server.address().port}/cgi-bin/sendsms` };
};

const startGateway = async (sms) => {
  const data = mkdtempSync(join(tmpdir(), "spamgate-browser-"));
  const password = join(data, "password");
  writeFileSync(password, "only-for-this-test\n", { mode: 0o600 });
  const env = {
    ...process.env,
    SPAMGATE__VERIFY__SENDER: "kannel",
    SPAMGATE__VERIFY__KANNEL_URL: sms.url,
    SPAMGATE__VERIFY__KANNEL_USER: "test",
    SPAMGATE__VERIFY__KANNEL_PASSWORD_FILE: password,
    SPAMGATE__VERIFY__KANNEL_FROM: "156",
    SPAMGATE__VERIFY__NUMBER_PER_10_MINUTES: "200",
    SPAMGATE__VERIFY__NUMBER_PER_DAY: "200",
    SPAMGATE__VERIFY__CLIENT_PER_HOUR: "900",
    SPAMGATE__VERIFY__WRONG_PER_HOUR: "200",
    SPAMGATE__LIMITS__REPORTER_PER_DAY: "500",
  };
  const listen = ["--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"];
  const child = spawn("setpriv", ["--pdeathsig=KILL", binary, "--data", join(data, "data"), "serve", ...listen], { env });
  let printed = "";
  child.stdout.on("data", (piece) => (printed += piece));
  child.stderr.on("data", (piece) => (printed += piece));
  const until = Date.now() + LONG_WAIT_MS;
  const address = /takes reports on (http:\/\/\S+)/;
  while (!address.test(printed)) {
    assert.ok(Date.now() < until && child.exitCode === null, printed);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const operators = printed.match(/ops\.address=(\S+)/)[1];
  const stop = async () => {
    child.kill("SIGTERM");
    await once(child, "exit");
    rmSync(data, { recursive: true });
  };
  const accepted = async () => {
    const metrics = await (await fetch(`http://${operators}/metrics`)).text();
    return Number(metrics.match(/^spamgate_reports_accepted_total (\d+)/m)[1]);
  };
  return { url: printed.match(address)[1], accepted, stop };
};

const sms = await startSmsGateway();
const gateway = await startGateway(sms);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
let checked = 0;

/** A visitor; `lang` is what the browser asks for. */
const visit = async ({ width, lang, script, dark = false }) => {
  const context = await browser.newContext({
    baseURL: gateway.url,
    viewport: { width, height: width < 500 ? 640 : 900 },
    locale: lang,
    javaScriptEnabled: script,
    colorScheme: dark ? "dark" : "light",
  });
  const faults = [];
  const page = await context.newPage();
  page.setDefaultTimeout(LONG_WAIT_MS);
  page.on("pageerror", (error) => faults.push(`${error}`));
  page.on("console", (message) => {
    // A status such as 422 is said there, too.
    const isOfOurs = message.type() === "error" && !/status of/.test(message.text());
    if (isOfOurs) faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(gateway.url)) faults.push(`asks elsewhere: ${request.url()}`);
  });
  const close = async () => {
    assert.deepEqual(faults, []);
    await context.close();
  };
  return { page, width, lang, script, dark, close };
};

/** Looks at the page that is shown: nothing sticks out, axe finds nothing; and leaves a picture. */
const look = async (visitor, name) => {
  const { page, width, lang, script, dark } = visitor;
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= width, `${name} is ${wide} px wide at ${width}`);
  if (script) {
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(
      (values) => axe.run(document, { runOnly: { type: "tag", values }, resultTypes: ["violations"] }),
      AXE_TAGS,
    );
    const said = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
    assert.deepEqual(said, [], `axe on ${name}, ${lang}, ${width} px`);
    checked += 1;
  }
  if (pictures && script) {
    const file = `${name}-${lang.slice(0, 2)}-${width}${dark ? "-dark" : ""}.png`;
    await page.screenshot({ path: join(pictures, file), fullPage: true });
  }
};

const fillIn = async (page, { reporter = REPORTER, sender = SENDER } = {}) => {
  await page.fill("#sender", sender);
  await page.check("input[name=channel][value=sms]");
  await page.check("input[name=category][value=scam]");
  await page.fill("#content", "Tai khoan cua ban bi khoa, vao https://vi-du.example/khoa de mo lai");
  await page.fill("#reporter", reporter);
};
const send = (page) => page.click("form#report button[type=submit]");
const confirm = (page) => page.click("form:has(#code) button");

const theWholeWay = async (visitor, { sender = SENDER } = {}) => {
  const { page } = visitor;
  const before = await gateway.accepted();
  await page.goto("/");
  await look(visitor, "form");
  await page.click("details.alarm summary");
  assert.ok(await page.isVisible("a[href='tel:113']"));
  // The honeypot is out of sight and out of the keyboard's way.
  assert.equal(await page.getAttribute("#website", "tabindex"), "-1");

  await send(page);
  await page.waitForSelector(".summary");
  await look(visitor, "form-errors");
  const fields = await page.$$eval("p.error", (errors) => errors.map(({ id }) => id));
  assert.deepEqual(fields, ["sender-error", "channel-error", "category-error", "reporter-error"]);

  await fillIn(page, { sender: "" });
  await page.fill("#content", "Goi ngay 0985 931 054 de nhan thuong");
  await send(page);
  await page.waitForSelector("input[name=offered]");
  await look(visitor, "form-offered");
  await fillIn(page, { sender });
  await send(page);
  await page.waitForSelector("#code");
  await look(visitor, "code");
  assert.equal(await page.getAttribute("#code", "autocomplete"), "one-time-code");
  assert.equal(await page.getAttribute("#code", "inputmode"), "numeric");

  const right = sms.code();
  await page.fill("#code", right === "000000" ? "000001" : "000000");
  await confirm(page);
  await page.waitForSelector("#code-error");
  await look(visitor, "code-wrong");

  // Another code makes the first one void.
  await page.click("button[value=again]");
  await page.waitForSelector("#code");
  const second = sms.code();
  if (second !== right) {
    await page.fill("#code", right);
    await confirm(page);
    await page.waitForSelector("#code-error");
  }

  // What was typed comes back to be changed.
  await page.click("button[value=change]");
  await page.waitForSelector("form#report");
  assert.equal(await page.inputValue("#reporter"), REPORTER);
  assert.ok(await page.isChecked("input[name=category][value=scam]"));
  await page.check("input[name=money_lost]");
  await send(page);
  await page.waitForSelector("#code");

  await page.fill("#code", sms.code());
  await page.dblclick("form:has(#code) button");
  await page.waitForSelector("#receipt-code");
  await look(visitor, "receipt");
  assert.match(page.url(), /\/receipt\?/);
  assert.ok(!page.url().includes(REPORTER.slice(1)));
  assert.equal(await gateway.accepted(), before + 1, "two clicks are one report");
  const receipt = (await page.textContent("#receipt-code")).trim();
  const receiptAt = page.url();

  // Back to the page of the code: it is there, and its code, typed once more, leads to the same receipt.
  await page.goBack();
  await page.waitForSelector("#code");
  await page.fill("#code", right);
  await confirm(page);
  await page.waitForSelector("#receipt-code");
  assert.equal((await page.textContent("#receipt-code")).trim(), receipt);
  // And all the way back, page by page: each is there.
  for (let steps = 0; steps < 20 && !(await page.isVisible("form#report")); steps += 1) await page.goBack();
  assert.equal(await page.inputValue("#reporter"), REPORTER, "what was typed is there");
  await page.goto(receiptAt);
  await page.waitForSelector("#receipt-code");

  const picture = { name: "screen.png", mimeType: "image/png", buffer: await page.screenshot() };
  await page.setInputFiles("#file", [picture]);
  await page.click("form[action^='/evidence'] button");
  await page.waitForSelector("p.notice[role=status]");
  await look(visitor, "receipt-evidence");
  await page.setInputFiles("#file", [{ name: "page.png", mimeType: "image/png", buffer: Buffer.from("<html>") }]);
  await page.click("form[action^='/evidence'] button");
  await page.waitForSelector("#file-error");
  await look(visitor, "receipt-evidence-error");
  assert.equal(await gateway.accepted(), before + 1);
  return receipt;
};

const tracking = async (visitor, receipt) => {
  const { page } = visitor;
  await page.goto("/track");
  await look(visitor, "track");
  const lookUp = async (digits) => {
    await page.fill("#receipt", receipt.toLowerCase());
    await page.fill("#digits", digits);
    await page.click("main form button");
  };
  await lookUp("0000");
  await page.waitForSelector("#track-error");
  await look(visitor, "track-not-found");
  await lookUp(REPORTER.slice(-4));
  await page.waitForSelector("dl.facts");
  assert.match(page.url(), /\/status\?/);
  await look(visitor, "status");
};

const otherPages = async (visitor) => {
  const { page } = visitor;
  for (const [path, name] of [
    ["/guide", "guides"],
    ["/guide/spam", "guide-spam"],
    ["/guide/scam", "guide-scam"],
    ["/guide/fake-news", "guide-fake-news"],
    ["/respond", "respond"],
    ["/receipt?r=gone", "receipt-gone"],
  ]) {
    await page.goto(path);
    await look(visitor, name);
  }
};

/** The other side: who holds the reported number sees that it is, and answers. */
const respond = async (visitor) => {
  const { page } = visitor;
  await page.goto("/respond");
  await page.fill("#number", SENDER);
  await page.click("main form button");
  await page.waitForSelector("#code");
  await look(visitor, "respond-code");
  await page.fill("#code", sms.code());
  await confirm(page);
  await page.waitForSelector("dl.facts");
  await look(visitor, "reported");
  assert.ok(!(await page.textContent("main")).includes("Tai khoan"), "not what they wrote");
  if (await page.isVisible("textarea")) {
    await page.click("main form button");
    await page.waitForSelector("p.error");
    await look(visitor, "reported-error");
    await page.fill("textarea", "It was not me.");
    await page.click("main form button");
  }
  await page.waitForSelector("dl.facts");
};

const withdraw = async (visitor) => {
  const { page } = visitor;
  await page.click("details summary");
  await page.fill("#number", REPORTER);
  await page.click("details button");
  await page.waitForSelector("#code");
  await page.fill("#code", sms.code());
  await confirm(page);
  await page.waitForURL(/\/withdrawn/);
  await look(visitor, "withdrawn");
};

const changeOfLanguage = async (visitor) => {
  const { page } = visitor;
  await page.goto("/");
  assert.equal(await page.getAttribute("html", "lang"), "vi");
  await page.click("header nav a");
  assert.equal(await page.getAttribute("html", "lang"), "en");
  await page.click("footer nav a[href^='/track']");
  assert.equal(await page.getAttribute("html", "lang"), "en", "kept from page to page");
};

/** The whole form by the keyboard alone: how many keys and seconds it takes. */
const byKeyboard = async (visitor) => {
  const { page } = visitor;
  await page.goto("/");
  const began = Date.now();
  let keys = 0;
  const press = async (key) => {
    await page.keyboard.press(key);
    keys += 1;
  };
  const goTo = async (selector) => {
    for (let steps = 0; steps < 40; steps += 1) {
      if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
      await press("Tab");
    }
    assert.fail(`${selector} cannot be reached by the keyboard`);
  };
  await goTo("#sender");
  await page.keyboard.type(SENDER);
  await goTo("input[name=channel]");
  await press("Space");
  await goTo("input[name=category]");
  await press("Space");
  await goTo("#content");
  await page.keyboard.type("Vay nhanh");
  await goTo("#reporter");
  await page.keyboard.type(REPORTER);
  await press("Enter");
  await page.waitForSelector("#code");
  assert.ok(await page.evaluate(() => document.activeElement?.id === "code"), "the code can be typed at once");
  await page.keyboard.type(sms.code());
  await press("Enter");
  await page.waitForSelector("#receipt-code");
  const characters = SENDER.length + REPORTER.length + 6 + "Vay nhanh".length;
  console.log(`by keyboard: ${keys} keys beside ${characters} characters, ${(Date.now() - began) / 1000} s of machine time`);
};

/** Twice the size of letters, as browsers zoom: nothing sticks out of half the width. */
const zoomed = async () => {
  const visitor = await visit({ width: 640, lang: "vi-VN", script: true });
  await visitor.page.goto("/");
  await visitor.page.evaluate(() => (document.documentElement.style.fontSize = "200%"));
  await look(visitor, "form-zoomed");
  await visitor.close();
};

const scenarios = [];
for (const width of WIDTHS) {
  for (const lang of ["vi-VN", "en-GB"]) {
    for (const script of [true, false]) {
      scenarios.push([`whole way, ${lang}, ${width} px, ${script ? "with" : "without"} script`, async () => {
        const visitor = await visit({ width, lang, script });
        const receipt = await theWholeWay(visitor);
        await tracking(visitor, receipt);
        if (lang === "en-GB") await withdraw(visitor);
        else await respond(visitor);
        await otherPages(visitor);
        await visitor.close();
      }]);
    }
  }
}
scenarios.push(["in the dark", async () => {
  const visitor = await visit({ width: 320, lang: "vi-VN", script: true, dark: true });
  await theWholeWay(visitor);
  await otherPages(visitor);
  await visitor.close();
}]);
scenarios.push(["change of language", async () => {
  const visitor = await visit({ width: 320, lang: "vi-VN", script: false });
  await changeOfLanguage(visitor);
  await visitor.close();
}]);
scenarios.push(["by keyboard", async () => {
  const visitor = await visit({ width: 1280, lang: "en-GB", script: true });
  await byKeyboard(visitor);
  await visitor.close();
}]);
scenarios.push(["zoomed", zoomed]);

let failed = 0;
for (const [name, run] of scenarios) {
  const began = Date.now();
  try {
    await run();
    console.log(`ok ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.stack}`);
  }
}
await browser.close();
await gateway.stop();
sms.server.close();
console.log(`${scenarios.length - failed} of ${scenarios.length} passed; axe looked at ${checked} pages`);
process.exit(failed === 0 ? 0 : 1);
