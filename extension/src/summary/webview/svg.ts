const NAMESPACE = 'http://www.w3.org/2000/svg';

/** A new element of SVG. */
export function element<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string | number>>,
): SVGElementTagNameMap[Name] {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) {
    made.setAttribute(key, String(value));
  }
  return made;
}

/** A line of text; its class says how it is aligned. */
export function text(content: string, x: number, y: number, className: string): SVGTextElement {
  const made = element('text', { x, y, class: className });
  made.textContent = content;
  return made;
}
