// Elements, made without markup: what devices say is only ever text.

type Child = Node | string;
/** A value of "" or true is an attribute without one; undefined and false are none. */
type Attributes = Readonly<Record<string, string | boolean | undefined>>;

/** A new element. */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag, attributes: Attributes = {}, ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) setAttribute(element, name, value);
  element.append(...children);
  return element;
}

/** Sets, changes or removes an attribute, where it is not so already. */
export function setAttribute(element: Element, name: string, value: string | boolean | undefined): void {
  const text = value === true ? "" : value;
  if (text === undefined || text === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== text) {
    element.setAttribute(name, text);
  }
}

/** Makes the text of an element this, where it is not so already: what someone has marked in it stays marked. */
export function setText(element: Element, text: string): void {
  const only = element.firstChild;
  if (only instanceof Text && only === element.lastChild) {
    if (only.data !== text) only.data = text;
  } else if (only !== null || text !== "") {
    element.textContent = text;
  }
}

/** Hides or shows an element. */
export function setHidden(element: HTMLElement, hidden: boolean): void {
  if (element.hidden !== hidden) element.hidden = hidden;
}

/** A button with an icon, its name for screen readers and as a tooltip, and the key that does the same. */
export function iconButton(icon: SVGElement, name: string, key?: string): HTMLButtonElement {
  return el("button", {
    type: "button", class: "icon-button", "aria-label": name, title: key === undefined ? name : `${name} (${key})`,
    "aria-keyshortcuts": key,
  }, icon);
}
