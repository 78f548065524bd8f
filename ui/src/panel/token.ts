// TokenDialog: asks for the token that the server wants to see.

import type { Status } from "../fleet.ts";
import type { Context } from "./context.ts";
import { el, setAttribute, setText } from "./dom.ts";

/** What was pasted, without what often comes with it. */
export function tokenIn(text: string): string {
  return text.trim().replace(/^bearer\s+/i, "");
}

/** What is wrong with the last one, for people; undefined if nothing is. */
export function tokenFault({ access, connection, message }: Status): string | undefined {
  if (access === "refused") return `The server did not accept it${message ? `: ${message}` : ""}.`;
  return connection === "waiting" ? `Not connected${message ? `: ${message}` : ""}. It is tried again.` : undefined;
}

export class TokenDialog {
  readonly element: HTMLDialogElement;
  readonly #context: Context;
  readonly #input = el("input", {
    type: "password", id: "token", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true, "aria-describedby": "token-why token-fault",
  });
  readonly #keep = el("input", { type: "checkbox" });
  readonly #fault = el("p", { id: "token-fault", class: "fault", role: "alert" });
  readonly #send = el("button", { type: "submit", class: "button" }, "Connect");
  /** One has been given, and nothing was heard of it. */
  #isSent = false;
  /** What the page asked for it with last. */
  #asked: Status["access"] = "open";

  constructor(context: Context) {
    this.#context = context;
    const cancel = el("button", { type: "button", class: "button" }, "Cancel");
    cancel.addEventListener("click", () => this.#close());
    const form = el("form", { method: "dialog" },
      el("h2", { id: "token-title" }, "A token is needed"),
      el("p", { id: "token-why" }, "This server shows its devices to those who have a token. Paste yours."),
      el("label", { for: "token" }, "Token"), this.#input, this.#fault,
      el("label", { class: "check" }, this.#keep, "Keep it until this tab is closed"),
      el("div", { class: "token-buttons" }, this.#send, cancel));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#input.addEventListener("input", () => this.#say(undefined));
    this.element = el("dialog", { class: "help token", "aria-labelledby": "token-title" }, form);
    // The Escape key closes it as well. The event comes a little later: by then it may be open again, with another token.
    this.element.addEventListener("close", () => {
      if (!this.element.open) this.#input.value = "";
    });
    context.signal.addEventListener("abort", context.fleet.on("status", (status) => this.update(status)));
  }

  open(): void {
    if (!this.element.open) this.element.showModal();
    this.#input.focus();
  }

  /** What the status asks for, also if it came before the dialog was on the page. */
  update(status: Status): void {
    const { access, connection } = status, before = this.#asked;
    this.#asked = access;
    if (access === "needed" || access === "refused") {
      // Whoever has closed it has a button; what was given since is another matter.
      if (access === before && !this.#isSent) return;
      this.#sent(false);
      this.#say(tokenFault(status));
      this.open();
      this.#input.select();
    } else if (access === "ended" || connection === "connected") {
      this.#sent(false);
      this.#close();
    } else if (this.#isSent) {
      this.#say(tokenFault(status));
    }
  }

  /** What was pasted is not to be found on the page from here on. */
  #close(): void {
    this.#input.value = "";
    this.element.close();
  }

  #submit(): void {
    const token = tokenIn(this.#input.value);
    if (token === "") return;
    this.#say(undefined);
    this.#sent(true);
    this.#context.giveToken(token, this.#keep.checked);
  }

  #sent(isSent: boolean): void {
    this.#isSent = isSent;
    setText(this.#send, isSent ? "Connecting" : "Connect");
  }

  #say(fault: string | undefined): void {
    setText(this.#fault, fault ?? "");
    setAttribute(this.#input, "aria-invalid", fault === undefined ? undefined : "true");
  }
}
