// One request over the bus, its answer as bytes: credit, resend, cancel, and what to do when a worker dies.
// The protocol is that of docs/bus.md, "Frames"; it is the same in every language.
import { createInbox, headers as natsHeaders } from "nats";

const [ACCEPT, BUSY, DATA, HEARTBEAT, ERROR, END] = [1, 2, 3, 4, 5, 6];
const [ACK, RESEND, CANCEL] = [1, 2, 3];
const WINDOW = 256 * 1024; // bytes a worker may send before it hears ACK
const SILENCE = 1500; // ms; a heartbeat comes each second
const ATTEMPTS = 10;

class WorkerLost extends Error {}

/** The answer to `request`, piece by piece. A worker that dies before the first piece is replaced; later it throws. */
export async function* answer(bus, user, subject, request) {
  for (let attempt = 1; ; attempt++) {
    let begun = false;
    try {
      for await (const bytes of once(bus, user, subject, request)) {
        begun = true;
        yield bytes;
      }
      return;
    } catch (error) {
      if (!(error instanceof WorkerLost) || begun || attempt === ATTEMPTS) throw error;
      await new Promise((wake) => setTimeout(wake, 500));
    }
  }
}

async function* once(bus, user, subject, request) {
  const inbox = createInbox(`_INBOX.${user}`);
  const replies = bus.subscribe(inbox);
  const messages = replies[Symbol.asyncIterator]();
  const headers = natsHeaders();
  headers.set("Caravan-Window", String(WINDOW));
  bus.publish(subject, JSON.stringify(request), { reply: inbox, headers });

  let control = ""; // where the worker that answers listens: the reply subject of its first frame
  let [expected, unread, silences, nobody, ended] = [1, 0, 0, 0, false];
  const say = (kind) => {
    if (control) bus.publish(control, word(kind, expected - 1), { reply: inbox }); // the reply: "503" if it is dead
  };
  try {
    for (;;) {
      const message = await next(messages, SILENCE);
      if (message === undefined) {
        if (++silences === 4) throw new WorkerLost("the worker fell silent; what was sent so far is incomplete");
        say(RESEND);
        continue;
      }
      if (message.headers?.code === 503) {
        // twice: after a restart of NATS the worker may need a moment longer than we to come back
        if (!control) throw new WorkerLost("no inference worker is running");
        if (++nobody === 2) throw new WorkerLost("the worker died; what was sent so far is incomplete");
        continue;
      }
      [silences, nobody] = [0, 0];
      if (message.reply) control = message.reply;
      const view = new DataView(message.data.buffer, message.data.byteOffset, message.data.length);
      const [kind, seq] = [view.getUint8(0), view.getUint32(1)];
      if (kind === ACCEPT) continue;
      if (kind === BUSY) throw new WorkerLost("all workers are busy");
      if (kind === HEARTBEAT ? seq >= expected : seq > expected) {
        say(RESEND); // something was lost on the way
        continue;
      }
      if (kind === HEARTBEAT || seq < expected) continue; // seq < expected: we have it already
      expected = seq + 1;
      if (kind === ERROR) {
        ended = true;
        throw new Error(JSON.parse(new TextDecoder().decode(message.data.subarray(5))).error.message);
      }
      ended = kind === END;
      const data = message.data.subarray(ended ? 9 + view.getUint32(5) : 5); // END has a summary before its data
      if (data.length) yield data;
      if (ended) return;
      unread += data.length; // it has been read now: the caller asked for more
      if (unread * 2 >= WINDOW) {
        say(ACK);
        unread = 0;
      }
    }
  } finally {
    if (!ended) say(CANCEL);
    replies.unsubscribe();
  }
}

/** The next message; undefined after `ms` of silence. */
const waiting = new WeakMap();
async function next(messages, ms) {
  const promise = waiting.get(messages) ?? messages.next();
  waiting.set(messages, promise);
  let timer;
  const silence = new Promise((wake) => (timer = setTimeout(wake, ms)));
  const result = await Promise.race([promise, silence]);
  clearTimeout(timer);
  if (result) waiting.delete(messages);
  return result?.value;
}

function word(kind, seq) {
  const view = new DataView(new ArrayBuffer(5));
  view.setUint8(0, kind);
  view.setUint32(1, seq);
  return new Uint8Array(view.buffer);
}
