// Server-sent events as they arrive in pieces: the data of each, up to `[DONE]`. Imports only Node.
import { StringDecoder } from "node:string_decoder";

export class EventStream {
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";
  #isDone = false;

  /** The data of the events that `bytes` complete. Comments and what follows `[DONE]` are left out. */
  push(bytes: Buffer): string[] {
    this.#rest += this.#decoder.write(bytes);
    const events = this.#rest.split(/\r?\n\r?\n/);
    this.#rest = events.pop() ?? "";
    const found: string[] = [];
    for (const event of events) {
      const data = dataOf(event);
      this.#isDone ||= data === "[DONE]";
      if (!this.#isDone && data !== "") found.push(data);
    }
    return found;
  }
}

function dataOf(event: string): string {
  return event
    .split(/\r?\n/)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).replace(/^ /, ""))
    .join("\n");
}
