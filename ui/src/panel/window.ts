// The window of a long list: which of its rows are on the page, and where keys go.

/** Rows beyond the edges that are there too, so that scrolling shows no gap. */
const EXTRA = 4;

/** The rows from `first` to before `end` that are on the page. */
export function rowsOnPage(scroll: number, height: number, row: number, count: number): { first: number; end: number } {
  const first = Math.max(0, Math.min(count, Math.floor(scroll / row)) - EXTRA);
  const end = height <= 0 ? first : Math.min(count, Math.ceil((scroll + height) / row) + EXTRA);
  return { first, end: Math.max(first, end) };
}

/** Where to scroll to so that a row is wholly visible, from `scroll`, as little as possible. */
export function scrollTo(index: number, scroll: number, height: number, row: number): number {
  const top = index * row;
  if (top < scroll) return top;
  return top + row > scroll + height ? Math.max(0, top + row - height) : scroll;
}

/** Where a key leads from a row (-1: from none); undefined if the key leads nowhere. */
export function moveBy(key: string, index: number, count: number, page: number): number | undefined {
  if (count === 0) return undefined;
  const last = count - 1;
  const to = {
    ArrowDown: index + 1, ArrowUp: index < 0 ? last : index - 1, Home: 0, End: last,
    PageDown: Math.max(0, index) + Math.max(1, page), PageUp: index - Math.max(1, page),
  }[key];
  return to === undefined ? undefined : Math.max(0, Math.min(last, to));
}
