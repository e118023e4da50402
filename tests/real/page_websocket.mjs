// A page in Debian's Chromium that opens a WebSocket as pages do: with `new WebSocket`, which can set no field.
//
//     node page_websocket.mjs URL KEY MODULES NAME
//
// NAME is the subprotocol that it offers beside its key.
//
// Prints one line of JSON for what the page sees: {"opened": {"protocol", "first", "back"}} and, when the server ends it,
// {"closed": {"code", "reason", "clean"}}; or {"failed": {"code", "opened"}} where it does not open.
import { createRequire } from "node:module";

const [url, key, modules, name] = process.argv.slice(2);
const puppeteer = createRequire(`${modules}/`)("puppeteer-core");

const tell = (what) => console.log(JSON.stringify(what));

// Runs in the page. Its first message is what the server says by itself, its second what comes back of "from the page".
function open(url, offered) {
  return new Promise((done) => {
    const messages = [];
    const socket = new WebSocket(url, offered);
    window.ended = new Promise((end) => {
      socket.onclose = ({ code, reason, wasClean }) => {
        end({ code, reason, clean: wasClean });
        done({ failed: { code, opened: messages.length > 0 } });
      };
    });
    socket.onopen = () => socket.send("from the page");
    socket.onmessage = ({ data }) => {
      messages.push(data);
      if (messages.length === 2) {
        done({ opened: { protocol: socket.protocol, first: messages[0], back: messages[1] } });
      }
    };
  });
}

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  const page = await browser.newPage();
  const told = await page.evaluate(open, url, [name, `keyward.bearer.${key}`]);
  tell(told);
  if (told.opened) tell({ closed: await page.evaluate(() => window.ended) });
} finally {
  await browser.close();
}
