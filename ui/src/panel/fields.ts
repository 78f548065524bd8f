// Fields: the lines of the card, names and values. Used again at each update, so that what someone reads or marks stays.

import { el, setHidden, setText } from "./dom.ts";

/** Longer values are cut, with a button that shows the rest. */
const LONG = 120;

class Field {
  readonly element: HTMLElement;
  readonly #name = el("dt");
  readonly #value = el("span", { dir: "auto" });
  readonly #more = el("button", { type: "button", class: "link-button", "aria-expanded": "false", hidden: true }, "Show all");
  #key = "";
  #text = "";
  #open = false;

  constructor() {
    this.element = el("div", { class: "field" }, this.#name, el("dd", {}, this.#value, " ", this.#more));
    this.#more.addEventListener("click", () => {
      this.#open = !this.#open;
      this.#draw();
    });
  }

  /** Puts something after the value. */
  beside(element: HTMLElement): void {
    if (element.previousElementSibling !== this.#more) this.#more.after(element);
  }

  show(name: string, text: string): void {
    if (name !== this.#key) this.#open = false;
    this.#key = name;
    this.#text = text;
    setText(this.#name, name);
    this.#draw();
  }

  #draw(): void {
    const characters = this.#text.length > LONG ? [...this.#text] : [];
    const long = characters.length > LONG;
    setText(this.#value, long && !this.#open ? `${characters.slice(0, LONG).join("")}…` : this.#text);
    setHidden(this.#more, !long);
    setText(this.#more, this.#open ? "Show less" : "Show all");
    this.#more.setAttribute("aria-expanded", String(this.#open));
    this.#more.setAttribute("aria-label", `${this.#open ? "Show less" : "Show all"} of ${this.#key}`);
  }
}

/** A list of names and values. */
export class Fields {
  readonly element: HTMLElement;
  readonly #fields: Field[] = [];

  constructor(name: string) {
    this.element = el("dl", { class: `fields ${name}` });
  }

  /** Puts something beside a value. */
  beside(index: number, element: HTMLElement): void {
    this.#fields[index]?.beside(element);
  }

  show(lines: readonly { readonly name: string; readonly value: string }[]): void {
    lines.forEach(({ name, value }, index) => {
      let field = this.#fields[index];
      if (!field) {
        this.#fields.push((field = new Field()));
        this.element.append(field.element);
      }
      field.show(name, value);
    });
    for (const field of this.#fields.splice(lines.length)) field.element.remove();
    setHidden(this.element, lines.length === 0);
  }
}
