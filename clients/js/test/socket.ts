// Socket: stands for the browser's WebSocket, so that its events come when a test says so.

export class Socket {
  static last: Socket;
  /** How many there have been. */
  static count = 0;
  readonly url: string;
  readyState = 0;
  sent: string[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  constructor(url: string) {
    this.url = url;
    Socket.last = this;
    Socket.count += 1;
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.closed = true;
    this.readyState = 2;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  /** The server closes it. */
  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}
