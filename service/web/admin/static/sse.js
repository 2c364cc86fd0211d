/* Server-sent events out of a stream of bytes: any cut of the input gives the same events. */

/** Calls `onEvent({event, data})` for each event of a fetch response's body; ends with the body. */
export async function readEvents(response, onEvent) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader(onEvent);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    events.feed(value);
  }
}

export class EventReader {
  #rest = "";
  #event = "";
  #data = [];

  constructor(onEvent) {
    this.onEvent = onEvent;
  }

  feed(text) {
    this.#rest += text;
    // A CR at the very end may be half of a CR LF.
    const whole = this.#rest.endsWith("\r") ? this.#rest.slice(0, -1) : this.#rest;
    const lines = whole.split(/\r\n|\r|\n/);
    this.#rest = lines.pop() + (whole.length < this.#rest.length ? "\r" : "");
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    if (line === "") {
      if (this.#data.length) this.onEvent({ event: this.#event, data: this.#data.join("\n") });
      this.#event = "";
      this.#data = [];
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return; // a comment: the server says that it is still there
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
  }
}
