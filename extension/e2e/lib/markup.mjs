// Text as a person reads it, out of VS Code's markup.

/** As a person reads it: no icon glyphs, ordinary spaces, no space around. @param {string} text */
export const plain = (text) => text.replace(/[\uE000-\uF8FF\u200B-\u200F]/g, '').replace(/\u00a0/g, ' ').trim();

/** Name and description of rows, which the page sets apart by a margin only. @param {any} rows a locator */
export async function rowTexts(rows) {
  const texts = await rows.evaluateAll((found) =>
    found.map((row) => {
      const parts = ['.label-name', '.label-description'].flatMap((part) => row.querySelector(part)?.textContent || []);
      return parts.length > 0 ? parts.join(' ') : row.textContent ?? '';
    }),
  );
  return texts.map(plain);
}

/** Lines of an editor in the order in which they are seen: the markup keeps another one after scrolling. @param {any} lines a locator */
export async function linesOf(lines) {
  const texts = await lines.locator('.view-line').evaluateAll((found) =>
    found
      .map((line) => ({ top: Number.parseFloat(line.style.top), text: line.textContent ?? '' }))
      .sort((one, other) => one.top - other.top)
      .map(({ text }) => text),
  );
  return texts.join('\n').replace(/\u00a0/g, ' ');
}
