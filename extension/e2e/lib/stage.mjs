// Shows the source tree to VS Code as an unpacked extension, without `target/` and `node_modules/`.
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What of a checkout belongs to the extension; what is absent is left out. `package.nls*.json` comes in addition. */
const PARTS = ['package.json', 'README.md', 'LICENSE', 'l10n', 'syntaxes', 'extension/dist', 'extension/media'];

/**
 * Makes `<extensions>/<publisher>.<name>-<version>` from an unpacked extension.
 *
 * Files are copied: VS Code tells by the real path of a module which extension calls it, so a linked `main` is nobody's and
 * its status items and log channels get wrong names. Programs and other large things may be linked.
 *
 * @param {{ source: string, parts?: string[], links?: string[] }} extension `source` is a checkout with a manifest; `parts`
 *   are further paths in it to be copied, `links` to be linked
 * @param {string} extensions the folder that VS Code scans
 * @returns {string} the folder that was made
 */
export function stageExtension({ source, parts = [], links = [] }, extensions) {
  const root = realpathSync(source);
  const { publisher, name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  if (publisher === undefined) throw new Error(`${root}/package.json is no manifest of an extension: it has no publisher`);
  const staged = join(extensions, `${publisher}.${name}-${version}`.toLowerCase());
  const texts = readdirSync(root).filter((file) => /^package\.nls(\..+)?\.json$/.test(file));
  for (const part of [...PARTS, ...texts, ...parts]) {
    if (existsSync(join(root, part))) cpSync(join(root, part), join(staged, part), { recursive: true, dereference: true });
  }
  for (const link of links) {
    mkdirSync(dirname(join(staged, link)), { recursive: true });
    symlinkSync(join(root, link), join(staged, link));
  }
  return staged;
}
