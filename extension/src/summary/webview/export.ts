import type { Drawing } from './draw.js';

const PROPERTIES = ['fill', 'stroke', 'stroke-width', 'stroke-dasharray', 'font-family', 'font-size', 'font-weight', 'text-anchor', 'opacity', 'fill-opacity'];

/** The picture as a file of its own: in the colours of the theme, with nothing that only the editor knows. */
export function exported({ svg, width, height }: Drawing): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = svg.querySelectorAll<SVGElement>('*');
  copy.querySelectorAll<SVGElement>('*').forEach((element, at) => {
    const original = originals[at];
    if (original !== undefined) {
      inline(element, getComputedStyle(original));
    }
    ['class', 'tabindex', 'role', 'data-title', 'aria-hidden'].forEach((name) => {
      element.removeAttribute(name);
    });
  });
  copy.querySelectorAll('[data-focus]').forEach((element) => {
    element.remove();
  });
  copy.setAttribute('xmlns', 'http://www.w3.org/2000/svg');
  copy.setAttribute('width', String(width));
  copy.setAttribute('height', String(height));
  copy.removeAttribute('style');
  const paper = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
  paper.setAttribute('width', '100%');
  paper.setAttribute('height', '100%');
  paper.setAttribute('fill', getComputedStyle(document.body).backgroundColor);
  copy.prepend(paper);
  return `${new XMLSerializer().serializeToString(copy)}\n`;
}

function inline(element: SVGElement, style: CSSStyleDeclaration): void {
  for (const property of PROPERTIES) {
    const value = style.getPropertyValue(property);
    if (value !== '') {
      element.setAttribute(property, value);
    }
  }
}
