// Clipboard: copies text, also on pages without https, where browsers have no `navigator.clipboard`.

/** Copies a text; whether it was done. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Not allowed, or the page has lost the focus: the old way may still do.
  }
  return copyMarked(text);
}

/** The old way: what is marked in a field that nobody sees is copied. */
function copyMarked(text: string): boolean {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  field.setAttribute("aria-hidden", "true");
  field.tabIndex = -1;
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } catch {
    return false;
  } finally {
    field.remove();
    if (focused instanceof HTMLElement) focused.focus();
  }
}
