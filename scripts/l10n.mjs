// Collects the texts that the extension shows into `l10n/bundle.l10n.json`, which translations start from: `node scripts/l10n.mjs [--check]`.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { root } from './lib/repository.mjs';

const sources = join(root, 'extension', 'src');
const bundle = join(root, 'l10n', 'bundle.l10n.json');

/**
 * The bundle as it should be, from every call of `l10n.t` with a literal text.
 *
 * @returns {Promise<string>} JSON, sorted
 * @throws if a text is no literal, so that it could not be translated
 */
export async function collect() {
  const texts = new Set();
  const files = (await readdir(sources, { recursive: true })).filter((path) => path.endsWith('.ts')).sort();
  for (const path of files) {
    const file = ts.createSourceFile(path, await readFile(join(sources, path), 'utf8'), ts.ScriptTarget.Latest, true);
    visit(file, (call) => {
      const [text] = call.arguments;
      if (text === undefined || !ts.isStringLiteralLike(text)) {
        const { line } = file.getLineAndCharacterOfPosition(call.getStart());
        throw new Error(`extension/src/${path}:${line + 1}: the text of l10n.t must be a literal`);
      }
      texts.add(text.text);
    });
  }
  return `${JSON.stringify(Object.fromEntries([...texts].sort().map((text) => [text, text])), null, 2)}\n`;
}

function visit(node, found) {
  if (ts.isCallExpression(node) && /(^|\.)l10n\.t$/.test(node.expression.getText())) found(node);
  ts.forEachChild(node, (child) => visit(child, found));
}

async function main() {
  const wanted = await collect();
  if (!process.argv.includes('--check')) {
    await mkdir(join(root, 'l10n'), { recursive: true });
    await writeFile(bundle, wanted);
    return;
  }
  const present = await readFile(bundle, 'utf8').catch(() => '');
  if (present !== wanted) throw new Error('l10n/bundle.l10n.json is stale: run `node scripts/l10n.mjs`.');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
