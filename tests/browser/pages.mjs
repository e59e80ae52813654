// The citizens' pages in Debian's Chromium, against a gateway of its own and an SMS gateway that keeps the codes.
//
//   node pages.mjs GATEWAY_BINARY [PICTURES_DIRECTORY [PART_OF_A_NAME]]
//
// Everything is checked at 320 and at 1280 px, in both languages, with and without script; axe-core looks at every page. With
// a directory, a picture of each page is left there; with a part of a name, the scenarios are run that have it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
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

const [binary, pictures, only = ""] = process.argv.slice(2);
assert.ok(binary, "name the gateway's binary");

/** Keeps the SMS that it is to send, as Kannel's page `sendsms` does; and is the operator whose network knows its phones. */
const startSmsGateway = async () => {
  const sent = [];
  const operator = { isAway: false, isSure: true };
  const server = createServer((request, response) => {
    const { pathname, searchParams: query } = new URL(request.url, "http://localhost");
    const answer = (status, type, body) => response.writeHead(status, { "content-type": type }).end(body);
    if (pathname === "/authorize") {
      const back = `${query.get("redirect_uri")}?code=good&state=${query.get("state")}`;
      return response.writeHead(302, { location: back }).end();
    }
    if (pathname === "/token") return answer(200, "application/json", '{"access_token":"a-token","token_type":"Bearer"}');
    if (pathname === "/network/verify") {
      return answer(200, "application/json", JSON.stringify({ devicePhoneNumberVerified: operator.isSure }));
    }
    if (operator.isAway) return answer(503, "text/plain", "");
    sent.push({ to: query.get("to"), text: query.get("text") });
    return answer(202, "text/plain", "0: Accepted for delivery");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const code = () => sent.at(-1).text.match(/\d{6}/)[0];
  return { server, sent, code, operator, url: `http://127.0.0.1:${server.address().port}` };
};

/** A port that is free, and most likely still is when the gateway takes it. */
const freePort = async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
};

/** A gateway that sends codes by this, and takes so many wrong ones an hour; without one it sends none. */
const startGateway = async (sms, wrongPerHour) => {
  const data = mkdtempSync(join(tmpdir(), "spamgate-browser-"));
  const [password, key] = [join(data, "password"), join(data, "network.pem")];
  writeFileSync(password, "only-for-this-test\n", { mode: 0o600 });
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  const address = `127.0.0.1:${await freePort()}`;
  const env = !sms ? process.env : {
    ...process.env,
    SPAMGATE__SERVER__PUBLIC_URL: `http://${address}`,
    SPAMGATE__VERIFY__NETWORK_URL: `${sms.url}/network`,
    SPAMGATE__VERIFY__NETWORK_AUTHORIZE_URL: `${sms.url}/authorize`,
    SPAMGATE__VERIFY__NETWORK_TOKEN_URL: `${sms.url}/token`,
    SPAMGATE__VERIFY__NETWORK_CLIENT_ID: "gateway",
    SPAMGATE__VERIFY__NETWORK_KEY_ID: "key",
    SPAMGATE__VERIFY__NETWORK_KEY_FILE: key,
    SPAMGATE__VERIFY__SENDER: "kannel",
    SPAMGATE__VERIFY__KANNEL_URL: `${sms.url}/cgi-bin/sendsms`,
    SPAMGATE__VERIFY__KANNEL_USER: "test",
    SPAMGATE__VERIFY__KANNEL_PASSWORD_FILE: password,
    SPAMGATE__VERIFY__KANNEL_FROM: "156",
    SPAMGATE__VERIFY__NUMBER_PER_10_MINUTES: "200",
    SPAMGATE__VERIFY__NUMBER_PER_DAY: "200",
    SPAMGATE__VERIFY__CLIENT_PER_HOUR: "900",
    SPAMGATE__VERIFY__WRONG_PER_HOUR: `${wrongPerHour}`,
    SPAMGATE__LIMITS__REPORTER_PER_DAY: "500",
  };
  const listen = ["--listen", address, "--ops-listen", "127.0.0.1:0"];
  const child = spawn("setpriv", ["--pdeathsig=KILL", binary, "--data", join(data, "data"), "serve", ...listen], { env });
  let printed = "";
  child.stdout.on("data", (piece) => (printed += piece));
  child.stderr.on("data", (piece) => (printed += piece));
  const until = Date.now() + LONG_WAIT_MS;
  const isUp = /takes reports on (http:\/\/\S+)/;
  while (!isUp.test(printed)) {
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
  return { url: printed.match(isUp)[1], accepted, stop };
};

const sms = await startSmsGateway();
// Most ways share a number and its wrong codes.
const gateway = await startGateway(sms, 200);
const strict = await startGateway(sms, 5);
const closed = await startGateway();
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
let checked = 0;

/** A visitor; `lang` is what the browser asks for. */
const visit = async ({ width, lang, script, dark = false, touch = false, at = gateway }) => {
  const context = await browser.newContext({
    baseURL: at.url,
    viewport: { width, height: width < 500 ? 640 : 900 },
    locale: lang,
    javaScriptEnabled: script,
    hasTouch: touch,
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
    const isOurs = request.url().startsWith(at.url) || request.url().startsWith(`${sms.url}/authorize?`);
    if (!isOurs) faults.push(`asks elsewhere: ${request.url()}`);
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
  if (visitor.script) {
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    await page.click("#copy");
    await page.waitForFunction(() => document.getElementById("copied").textContent !== "");
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^[0-9A-Z]{12} http:\/\/\S+\/track\?lang=(vi|en)$/);
    assert.ok(await page.isVisible("#print"));
  } else {
    assert.ok(!(await page.isVisible("#copy")) && !(await page.isVisible("#print")));
  }
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

/** What goes wrong on the way: each page says so, and nothing that was typed is lost. */
const errors = async (visitor) => {
  const { page } = visitor;
  const before = await strict.accepted();
  const toCode = async (reporter) => {
    await page.goto("/");
    await fillIn(page, { reporter });
    await send(page);
    await page.waitForSelector("#code");
  };
  // One field after another.
  for (const [field, value, error] of [
    ["#sender", "O912345678", "sender-error"],
    ["#reporter", "0243 825 0000", "reporter-error"],
    ["#reporter", "+1 415 555 0100", "reporter-error"],
    ["#content", "", "content-error"],
    ["#content", "x".repeat(4_001), "content-error"],
    ["#occurred_at", "2019-01-01T10:00", "occurred_at-error"],
    ["#occurred_at", "2099-01-01T10:00", "occurred_at-error"],
  ]) {
    await page.goto("/");
    await fillIn(page);
    await page.evaluate(() => document.querySelectorAll("[maxlength]").forEach((field) => field.removeAttribute("maxlength")));
    await page.fill(field, value);
    await send(page);
    await page.waitForSelector(`#${error}`);
    const errors = await page.$$eval("p.error", (errors) => errors.map(({ id }) => id));
    assert.deepEqual(errors, [error], `${field} ${value.slice(0, 20)}`);
    assert.equal(await page.inputValue(field), value, "what was typed is kept");
    assert.ok(await page.isChecked("input[name=category][value=scam]"));
  }
  await look(visitor, "form-error-time");

  // A code that was used by another form has run out for this one.
  const place = WIDTHS.indexOf(visitor.width) * 2 + (visitor.script ? 1 : 0);
  const number = `091234560${place}`;
  await toCode(number);
  const first = page.url();
  await toCode(number);
  await page.fill("#code", sms.code());
  await confirm(page);
  await page.waitForSelector("#receipt-code");
  await page.goto(first);
  await page.fill("#code", sms.code());
  await confirm(page);
  await page.waitForSelector("#code-error");
  await look(visitor, "code-expired");
  await page.click("button[value=again]");
  await page.waitForSelector("#code");
  await page.fill("#code", sms.code());
  await confirm(page);
  await page.waitForSelector("#receipt-code");

  // Too many wrong codes, and a sender that is away: there is the way by SMS.
  const unlucky = `091234561${place}`;
  await toCode(unlucky);
  const wrong = sms.code() === "000000" ? "000001" : "000000";
  for (let tries = 0; tries < 100 && (await page.isVisible("#code")); tries += 1) {
    await page.fill("#code", wrong);
    await confirm(page);
    await page.waitForSelector("h1");
  }
  await page.waitForSelector("a[href^='sms:156?body=XN%20']");
  await look(visitor, "by-sms");
  await page.click("button[value=by_sms]");
  await page.waitForSelector("p.notice[role=alert]");
  await look(visitor, "by-sms-missing");
  await page.click("button[value=change]");
  await page.waitForSelector("form#report");
  assert.equal(await page.inputValue("#reporter"), unlucky);
  sms.operator.isAway = true;
  await send(page);
  await page.waitForSelector("a[href^='sms:156?body=XN%20']");
  sms.operator.isAway = false;

  // An address of another's browser.
  await toCode(unlucky);
  const other = await visit({ ...visitor, at: strict });
  await other.page.goto(page.url());
  assert.ok(!(await other.page.content()).includes("vi-du.example"));
  await look(other, "not-here");
  await other.close();
  assert.equal(await strict.accepted(), before + 2);

  await page.goto("/track");
  await page.fill("#receipt", "0000");
  await page.fill("#digits", "12");
  await page.click("main form button");
  await page.waitForSelector("#track-error");
  await look(visitor, "track-error");
};

/** The mobile network says whose phone it is. */
const byNetwork = async (visitor) => {
  const { page } = visitor;
  const before = await gateway.accepted();
  await page.goto("/");
  await fillIn(page, { reporter: "0912345620" });
  await send(page);
  await page.waitForSelector("#code");
  sms.operator.isSure = false;
  await page.click("a[href^='/network?']");
  await page.waitForSelector("#code-error");
  await look(visitor, "code-not-by-network");
  sms.operator.isSure = true;
  await page.click("a[href^='/network?']");
  await page.waitForSelector("#receipt-code");
  assert.equal(await gateway.accepted(), before + 1);
  await page.goBack();
  await page.waitForSelector("#code");
};

/** A gateway that sends no codes. */
const withoutCodes = async (visitor) => {
  const { page } = visitor;
  for (const [path, name] of [["/", "closed"], ["/respond", "respond-closed"]]) {
    await page.goto(path);
    await look(visitor, name);
    assert.equal(await page.$("form"), null);
  }
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

// Seconds that a practised hand takes for a tap, for a character on a phone, and for a decision (after the keystroke-level
// model of Card, Moran and Newell, 1980, with a phone's slower keys); and what an SMS takes to come.
const MODEL_S = { tap: 1.1, character: 0.4, decision: 1.35, sms: 5 };

/** The whole form by taps on a phone: how many there are, and how long they take by the model. */
const byThumb = async (visitor) => {
  const { page } = visitor;
  await page.goto("/");
  const began = Date.now();
  const counted = { taps: 0, characters: 0, decisions: 0, pages: 1 };
  const tap = async (selector) => {
    await page.tap(selector);
    counted.taps += 1;
  };
  const type = async (selector, text) => {
    await tap(selector);
    await page.waitForFunction((wanted) => document.activeElement?.matches(wanted), selector);
    await page.fill(selector, text);
    counted.characters += text.length;
    counted.decisions += 1;
  };
  await type("#sender", SENDER);
  for (const choice of ["input[name=channel][value=sms]", "input[name=category][value=spam]"]) {
    await tap(choice);
    counted.decisions += 1;
  }
  // Pasted: a long press, and "paste".
  await tap("#content");
  await page.fill("#content", "Vay nhanh lai thap, khong can the chap");
  counted.taps += 1;
  counted.decisions += 1;
  await type("#reporter", REPORTER);
  await tap("form#report button[type=submit]");
  await page.waitForSelector("#code");
  counted.pages += 1;
  // The phone offers the code of the SMS: one tap.
  assert.equal(await page.getAttribute("#code", "autocomplete"), "one-time-code");
  await page.fill("#code", sms.code());
  counted.taps += 1;
  counted.decisions += 1;
  await tap("form:has(#code) button");
  await page.waitForSelector("#receipt-code");
  const machine = (Date.now() - began) / 1000;
  const { taps, characters, decisions, pages } = counted;
  const hand = taps * MODEL_S.tap + characters * MODEL_S.character + decisions * MODEL_S.decision + MODEL_S.sms;
  console.log(
    `by thumb: ${pages} pages, ${taps} taps, ${characters} characters, ${decisions} decisions; ${machine} s of machine time; ` +
      `${hand.toFixed(0)} s by the model`,
  );
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
scenarios.push(["by thumb", async () => {
  const visitor = await visit({ width: 320, lang: "vi-VN", script: true, touch: true });
  await byThumb(visitor);
  await visitor.close();
}]);
scenarios.push(["zoomed", zoomed]);

for (const width of WIDTHS) {
  for (const script of [true, false]) {
    const how = `${width} px, ${script ? "with" : "without"} script`;
    const lang = script ? "en-GB" : "vi-VN";
    scenarios.push([`errors, ${how}`, async () => {
      const visitor = await visit({ width, lang, script, at: strict });
      await errors(visitor);
      await visitor.close();
    }]);
  }
  scenarios.push([`by the network, ${width} px`, async () => {
    const visitor = await visit({ width, lang: "vi-VN", script: true });
    await byNetwork(visitor);
    await visitor.close();
  }]);
  scenarios.push([`without codes, ${width} px`, async () => {
    const visitor = await visit({ width, lang: "vi-VN", script: true, at: closed });
    await withoutCodes(visitor);
    await visitor.close();
  }]);
}

let failed = 0;
const chosen = scenarios.filter(([name]) => name.includes(only));
for (const [name, run] of chosen) {
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
await strict.stop();
await closed.stop();
sms.server.close();
console.log(`${chosen.length - failed} of ${chosen.length} passed; axe looked at ${checked} pages`);
process.exit(failed === 0 ? 0 : 1);
