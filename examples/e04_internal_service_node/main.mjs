// A service of your own in another language, safe across the death of a worker: Node, the `nats` package, a bus user.
// `npm install && npm start`. How a stream is read stands in stream.mjs, and in docs/bus.md.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { connect, nkeyAuthenticator } from "nats";
import { answer } from "./stream.mjs";

const env = process.env;
const user = env.NATS_USER ?? "example";
const tenant = env.NATS_TENANT ?? "default";
const seedFile = env.NATS_NKEY_SEED_FILE ?? `${homedir()}/.local/share/caravan/bus/${user}.nk`;
const seed = new TextEncoder().encode(readFileSync(seedFile, "utf8").trim());

const bus = await connect({
  servers: env.NATS_URL ?? "nats://127.0.0.1:4222",
  authenticator: nkeyAuthenticator(seed),
  inboxPrefix: `_INBOX.${user}`,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 250,
});
const request = {
  model: env.CARAVAN_MODEL ?? "SmolLM2-135M-Instruct",
  stream: true,
  max_tokens: 60,
  temperature: 0,
  messages: [{ role: "user", content: "What is the capital of France?" }],
};

const decoder = new TextDecoder();
let rest = "";
try {
  // leaving this loop early (break, return, an exception) cancels the request
  for await (const bytes of answer(bus, user, `caravan.v1.inference.chat.${tenant}.${user}`, request)) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((line) => line.startsWith("data: {"))) {
      for (const choice of JSON.parse(line.slice(6)).choices) process.stdout.write(choice.delta.content ?? "");
    }
  }
  console.log();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
await bus.close();
