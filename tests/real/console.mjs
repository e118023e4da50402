// Drives the console with Debian's Chromium, once with scripts and once without, and looks at every page with axe.
//
//     node console.mjs URL EMAIL PASSWORD [FOLDER]
//
// Needs puppeteer-core and axe-core beside it (NODE_PATH is not read for modules: run from their folder). Prints one line
// of JSON for each check: {"name", "passed", "detail"}. With FOLDER it keeps a picture of every page in two themes and three
// widths.
import { createRequire } from "node:module";
import { mkdirSync } from "node:fs";

const [site, email, password, folder, modules] = process.argv.slice(2);
const require = createRequire(`${modules}/`);
const puppeteer = require("puppeteer-core");
const axe = require("axe-core").source;

const THEMES = ["light", "dark"];
const WIDTHS = [360, 768, 1440];
const HOSTILE = `<b>"'&‮ name</b>`;

const check = (name, passed, detail = "") => console.log(JSON.stringify({ name, passed: Boolean(passed), detail }));

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});

async function text(page, selector = "main") {
  return page.$eval(selector, (node) => node.innerText);
}

async function go(page, place) {
  return page.goto(new URL(place, site), { waitUntil: "load" });
}

// Submits what `button` belongs to and waits for the page that comes of it.
async function press(page, button) {
  await Promise.all([page.waitForNavigation({ waitUntil: "load" }), page.click(button)]);
}

async function logIn(page, word = password) {
  await go(page, "/console/login");
  await page.type("#email", email);
  await page.type("#password", word);
  await press(page, "main button");
}

async function looked(page, name) {
  for (const theme of THEMES) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
    for (const width of WIDTHS) {
      await page.setViewport({ width, height: 800 });
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      check(`${name}: nothing beyond the edge, ${theme}, ${width}`, beyond <= 0, `${beyond} pixels`);
      if (folder) {
        mkdirSync(folder, { recursive: true });
        await page.screenshot({ path: `${folder}/${name}-${theme}-${width}.png`, fullPage: true });
      }
    }
    await page.setViewport({ width: 1024, height: 800 });
    const found = await page.evaluate(
      async (source) => {
        // The page's own policy lets no script in; what is evaluated here is the test's.
        if (!window.axe) (0, eval)(source);
        const { violations } = await window.axe.run();
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 100)).join(" | ")}`);
      },
      axe,
    ).catch((error) => [String(error)]);
    check(`${name}: axe finds nothing, ${theme}`, found.length === 0, found.join("\n"));
  }
}

async function session(scripts) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  const broken = [];
  page.on("pageerror", (error) => broken.push(String(error)));
  page.on("console", (message) => message.type() === "error" && broken.push(message.text()));
  await page.setJavaScriptEnabled(scripts);
  return { context, page, broken };
}

async function flow(scripts) {
  const how = scripts ? "with scripts" : "without scripts";
  const look = async (page, name) => scripts && looked(page, name);
  const { context, page, broken } = await session(scripts);
  if (scripts) await page.setBypassCSP(true);
  await go(page, "/console/");
  check(`${how}: who is not logged in is led to the login`, page.url().endsWith("/console/login"), page.url());
  await look(page, "login");
  await logIn(page, "not the password");
  check(`${how}: a wrong password is told`, (await text(page)).includes("wrong"), await text(page));
  await look(page, "login-wrong");
  await logIn(page);
  check(`${how}: a login leads to the keys`, page.url().endsWith("/console/keys"), page.url());
  const limits = /You may make 1,000,000 requests a day, (1,000,000|9\d\d,\d\d\d) left, until midnight UTC; 100 at a time\./;
  check(`${how}: limits are told in words`, limits.test(await text(page)), await text(page));
  if (scripts) await look(page, "keys-empty");

  await page.type("#name", HOSTILE.replace("‮", ""));
  const boxes = await page.$$("input[name=scopes]");
  const scope = await boxes[0].evaluate((box) => box.value);
  const words = await boxes[0].evaluate((box) => box.closest("label").innerText);
  check(`${how}: scopes are told in words`, words.replace(scope, "").trim().length > 5, words);
  await boxes[0].click();
  await page.select("#expires", "604800");
  await press(page, "form[action^='/console/keys'] button:not([data-copy])");
  const secret = await page.$eval("#secret", (field) => field.value);
  check(`${how}: the secret is shown`, /^kw_sk_[0-9A-Za-z]{38}$/.test(secret), secret.length);
  const curl = await page.$eval("#curl", (field) => field.value);
  check(`${how}: a line for curl has it`, curl.startsWith("curl ") && curl.includes(secret), curl);
  const asked = await fetch(new URL("/user/token/validate", site), {
    method: "POST",
    headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
    body: "{}",
  });
  const told = await asked.json();
  check(`${how}: the key is good, with its scope`, told.active === true && told.scope === scope, JSON.stringify(told));
  const copies = await page.$$eval("button.copy", (buttons) => buttons.filter((button) => !button.hidden).length);
  check(`${how}: there is a button to copy where scripts run`, copies === (scripts ? 2 : 0), `${copies} buttons`);
  await look(page, "made");

  await page.reload();
  check(`${how}: the same form again makes no second key`, !(await page.$("#secret")), await text(page));
  await go(page, "/console/keys");
  const names = await page.$$eval(".key h3", (nodes) => nodes.map((node) => node.innerText));
  check(`${how}: a name is text, whatever it has in it`, names.includes(HOSTILE.replace("‮", "")), names.join());
  check(`${how}: the secret is nowhere`, !(await page.content()).includes(secret));
  await look(page, "keys");

  await page.type("#name", HOSTILE);
  await press(page, "form[action^='/console/keys'] button");
  check(`${how}: a name that misleads is refused`, (await text(page)).includes("U+202E"), await text(page));
  await look(page, "keys-refused");

  await go(page, "/console/keys");
  await press(page, ".key.active h3 a");
  await look(page, "key");
  await press(page, "form[action$='/rotate'] button");
  check(`${how}: rotation gives another secret`, (await page.$eval("#secret", (field) => field.value)) !== secret);
  check(`${how}: it says how long the old one works`, (await text(page)).includes("works until"), await text(page));
  await look(page, "rotated");
  await go(page, "/console/keys");
  await press(page, ".key.active h3 a");
  const revoked = page.url();
  await press(page, "form[action$='/revoke'] button");
  check(`${how}: revoking is told`, (await text(page)).includes("The key is revoked."), await text(page));
  await go(page, revoked);
  check(`${how}: a revoked key offers nothing more`, !(await page.$("main form")), await text(page));

  await go(page, "/console/sessions");
  check(`${how}: this session is told apart`, (await page.$$(".badge.active")).length === 1);
  await look(page, "sessions");
  await go(page, "/console/password");
  await page.type("#old", "wrong");
  await page.type("#new", "another battery staple");
  await press(page, "main form button");
  check(`${how}: the present password is asked for`, (await text(page)).includes("present password is wrong"), await text(page));
  await look(page, "password");
  await go(page, "/console/nothing");
  check(`${how}: a page that is none is told so`, (await text(page)).includes("no such page"), await text(page));
  await look(page, "none");

  await go(page, "/console/keys");
  await press(page, ".who button");
  check(`${how}: logging out leads to the login`, (await text(page)).includes("logged out"), await text(page));
  await go(page, "/console/keys");
  check(`${how}: and nothing is shown any more`, page.url().endsWith("/console/login"), page.url());
  const errors = broken.filter((line) => !/status of (401|404|422|429)/.test(line));
  check(`${how}: the browser complains of nothing`, errors.length === 0, errors.join("\n"));
  await context.close();
}

// Another site's page that sends the form, and one that puts the console in a frame.
async function strangers() {
  const { context, page } = await session(true);
  await logIn(page);
  const cookies = await page.cookies();
  const cookie = cookies.find((one) => /keyward/.test(one.name) && !/known/.test(one.name));
  check("the cookie is for servers alone", cookie?.httpOnly && cookie.sameSite === "Lax", JSON.stringify(cookie));
  const key = await page.$eval("input[name=form]", (field) => field.value);
  await page.goto("data:text/html,<h1>elsewhere</h1>");
  const form = `<form method=post action="${new URL("/console/keys", site)}"><input name=form value="${key}"><input name=name value=forged></form>`;
  await page.setContent(form);
  await Promise.all([page.waitForNavigation(), page.evaluate(() => document.forms[0].submit())]);
  // Its cookie is not even sent; the login that it is led to finds it logged in.
  check("a form from elsewhere does nothing", !(await page.$("#secret")), await text(page));
  await go(page, "/console/keys");
  const names = await page.$$eval(".key h3", (nodes) => nodes.map((node) => node.innerText));
  check("nothing was forged", !names.includes("forged"), names.join());
  await page.setContent(`<iframe src="${new URL("/console/login", site)}"></iframe>`);
  await new Promise((done) => setTimeout(done, 500));
  const framed = page.frames().some((frame) => frame !== page.mainFrame() && frame.url().includes("/console/login"));
  check("it lets nobody frame it", !framed, page.frames().map((frame) => frame.url()).join());
  await context.close();
}

async function keyboard() {
  const { context, page } = await session(true);
  await go(page, "/console/login");
  await page.keyboard.type(email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await Promise.all([page.waitForNavigation(), page.keyboard.press("Enter")]);
  check("the keyboard is enough to log in", page.url().endsWith("/console/keys"), page.url());
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement.innerText);
  check("the first step leads past the menu", first.startsWith("Skip"), first);
  await context.close();
}

try {
  await flow(true);
  await flow(false);
  await strangers();
  await keyboard();
} catch (error) {
  check("the browser's run", false, error.stack);
}
await browser.close();
