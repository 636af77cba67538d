// The same as e03 from another language: Node, the `nats` package and a bus user. `npm install && npm start`.
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { connect, createInbox, nkeyAuthenticator } from "nats";

const env = process.env;
const user = env.NATS_USER ?? "example";
const tenant = env.NATS_TENANT ?? "default";
const seedFile = env.NATS_NKEY_SEED_FILE ?? `${homedir()}/.local/share/caravan/bus/${user}.nk`;
const seed = new TextEncoder().encode(readFileSync(seedFile, "utf8").trim());

const bus = await connect({
  servers: env.NATS_URL ?? "nats://127.0.0.1:4222",
  authenticator: nkeyAuthenticator(seed),
  inboxPrefix: `_INBOX.${user}`,
});
const inbox = createInbox(`_INBOX.${user}`);
const replies = bus.subscribe(inbox, { timeout: 60_000 });
const request = {
  model: env.CARAVAN_MODEL ?? "SmolLM2-135M-Instruct",
  stream: true,
  max_tokens: 60,
  temperature: 0,
  messages: [{ role: "user", content: "What is the capital of France?" }],
};
bus.publish(`caravan.v1.inference.chat.${tenant}.${user}`, JSON.stringify(request), { reply: inbox });

const decoder = new TextDecoder();
let rest = "";
for await (const message of replies) {
  if (message.headers) {
    // an error, or the server's word that no worker is there
    console.error(message.headers.get("Nats-Service-Error") || "no inference worker is running");
    process.exit(1);
  }
  if (message.data.length === 0) break; // the end
  const lines = (rest + decoder.decode(message.data, { stream: true })).split("\n");
  rest = lines.pop();
  for (const line of lines.filter((line) => line.startsWith("data: {"))) {
    for (const choice of JSON.parse(line.slice(6)).choices) process.stdout.write(choice.delta.content ?? "");
  }
}
console.log();
await bus.close();
