// Addresses of files whose names the build makes, as it has written them into the page.

/** The address of one of them; throws if the page has none of this name. */
export function address(name: string): string {
  const content = document.querySelector<HTMLMetaElement>(`meta[name="processor-map-${name}"]`)?.content;
  if (content === undefined) throw new Error(`the page has no <meta name="processor-map-${name}">`);
  return new URL(content, document.baseURI).href;
}
