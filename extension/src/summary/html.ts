import { randomBytes } from 'node:crypto';

/** What the page is made of: addresses that the editor gave. */
export interface PageParts {
  readonly script: string;
  readonly style: string;
  /** Where the editor serves files of the extension from. */
  readonly source: string;
  readonly language: string;
  readonly title: string;
}

/**
 * The page of the picture. It loads its own script and style sheet and nothing else; `wasm-unsafe-eval` allows the schema module, which
 * comes in a message, and no other code.
 */
export function page({ script, style, source, language, title }: PageParts): string {
  const nonce = randomBytes(24).toString('base64url');
  const policy = `default-src 'none'; base-uri 'none'; form-action 'none'; style-src ${source}; script-src 'nonce-${nonce}' 'wasm-unsafe-eval'`;
  return `<!DOCTYPE html>
<html lang="${escaped(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escaped(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<link rel="stylesheet" href="${escaped(style)}">
</head>
<body><script nonce="${nonce}" src="${escaped(script)}"></script></body>
</html>
`;
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => entities[character] ?? '');
}
