// `npm run test:grammars [-- --update]`: the grammars of `syntaxes/` against the snapshots of `syntaxes/test/`.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from './lib/process.mjs';
import { root } from './lib/repository.mjs';

const folder = join('syntaxes', 'test');
const snap = join('node_modules', 'vscode-tmgrammar-test', 'dist', 'snapshot.js');
/** The SQL grammar that VS Code ships: ours embeds it and is injected into it. */
const sql = join('node_modules', 'tm-grammars', 'grammars', 'sql.json');

/** The scope that the grammar tool cannot tell from the manifest: the language `sql` is not ours. */
const scopeArguments = (file) => (file.endsWith('.sql') ? ['--scope', 'source.sql'] : []);

/**
 * Checks, or writes anew, each snapshot.
 *
 * @param {{ update?: boolean, say?: (text: string) => void }} [options]
 * @returns {Promise<import('./lib/counts.mjs').Counts>} one test a file
 */
export async function testGrammars({ update = false, say = console.log } = {}) {
  const files = (await readdir(join(root, folder))).filter((name) => !name.endsWith('.snap')).sort();
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of files) {
    const right = await check(join(folder, file), update, say);
    counts[right ? 'passed' : 'failed'] += 1;
  }
  return counts;
}

async function check(file, update, say) {
  // The tool would write a snapshot that is missing, and be content.
  if (!update && !existsSync(join(root, `${file}.snap`))) {
    say(`${file} has no snapshot: run npm run test:grammars -- --update, and read it.`);
    return false;
  }
  const args = [snap, '--grammar', sql, ...scopeArguments(file), ...(update ? ['--updateSnapshot'] : []), file];
  const { code, stdout, stderr } = await run(process.execPath, args, { cwd: root, allowFailure: true });
  // A grammar that does not load is only a warning for the tool.
  const right = code === 0 && stderr === '';
  say(right ? `ok  ${file}` : `${stdout}${stderr}`.trimEnd());
  return right;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { failed } = await testGrammars({ update: process.argv.includes('--update') });
  process.exitCode = failed === 0 ? 0 : 1;
}
