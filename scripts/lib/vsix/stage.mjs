// The folder that the editor's package is made of.
import { chmod, copyFile, cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundle, bundlePicture } from '../../../extension/build.mjs';
import { CommandError, run } from '../process.mjs';
import { postgresPackage, root } from '../repository.mjs';
import { notices } from './notices.mjs';
import { stagePostgres } from './postgres.mjs';

/** Parts of the root's manifest that are about this repository, not about the extension. */
const OF_THE_REPOSITORY = ['private', 'type', 'scripts', 'devDependencies', 'dependencies', 'optionalDependencies'];

/** Folders and files that the manifest and the extension refer to, and where they go, if they are there. */
const FILES = [
  ['extension/README.md', 'README.md'],
  ['CHANGELOG.md', 'CHANGELOG.md'],
  ['LICENSE', 'LICENSE'],
  ['extension/media', 'extension/media'],
  ['extension/walkthrough', 'extension/walkthrough'],
  ['l10n', 'l10n'],
  ['package.nls.json', 'package.nls.json'],
];

const PROGRAM = 'offshoot';
const LIBRARY = 'liboffshoot_interpose.so';

/**
 * Fills `folder` with everything that the package holds.
 *
 * @param {string} folder empty
 * @param {string} built where cargo put the program and the library
 * @param {(text: string) => void} say
 */
export async function stage(folder, built, say) {
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(await manifest(), null, 2)}\n`);
  // Everything in the folder belongs into the package; the packager wants to be told so.
  await writeFile(join(folder, '.vscodeignore'), '\n');
  for (const [from, to] of FILES) await copy(from, join(folder, to));
  await stageGrammars(folder);
  const { bytes, inputs } = await bundle({ production: true, outfile: join(folder, 'extension', 'dist', 'main.cjs') });
  say(`Extension: ${bytes} bytes`);
  await bundlePicture({ production: true, folder: join(folder, 'extension', 'dist'), say });
  await stagePrograms(built, join(folder, 'server'), say);
  await stagePostgres(join(root, 'node_modules', postgresPackage()), join(folder, 'server', 'postgres'));
  await writeFile(join(folder, 'THIRD-PARTY-NOTICES.txt'), await notices(inputs));
  await checkPaths(folder);
}

async function manifest() {
  const whole = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const { vscode } = whole.engines;
  return { ...Object.fromEntries(Object.entries(whole).filter(([key]) => !OF_THE_REPOSITORY.includes(key))), engines: { vscode } };
}

async function copy(from, to) {
  if (!existsSync(join(root, from))) return;
  await mkdir(dirname(to), { recursive: true });
  await cp(join(root, from), to, { recursive: true });
}

async function stageGrammars(folder) {
  for (const name of await readdir(join(root, 'syntaxes'))) {
    if (name.endsWith('.json')) await copy(join('syntaxes', name), join(folder, 'syntaxes', name));
  }
}

async function stagePrograms(built, into, say) {
  await mkdir(into, { recursive: true });
  for (const [name, mode] of [[PROGRAM, 0o755], [LIBRARY, 0o644]]) {
    const target = join(into, name);
    await copyFile(join(built, name), target);
    await chmod(target, mode);
    await strip(target, say);
  }
  say(`Programs: need glibc ${await glibcOf([join(into, PROGRAM), join(into, LIBRARY)])} or newer`);
}

async function strip(file, say) {
  try {
    await run('strip', ['--strip-unneeded', file]);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    say(`WARNING: ${file} keeps its debugging information: ${error.output}`);
  }
}

/** The newest glibc whose symbols a program asks for. */
async function glibcOf(files) {
  const texts = await Promise.all(files.map((file) => readFile(file, 'latin1')));
  const minors = texts.flatMap((text) => [...text.matchAll(/\0GLIBC_2\.(\d+)(?=\0|\.\d+\0)/g)].map(([, minor]) => Number(minor)));
  return `2.${Math.max(...minors)}`;
}

/** Every file of the extension that the manifest names has to be there; the packager looks at a few of them only. */
async function checkPaths(folder) {
  const text = await readFile(join(folder, 'package.json'), 'utf8');
  const named = [...text.matchAll(/"((?:\.\/)?(?:extension|syntaxes|l10n)\/[^"*{}]+)"/g)].map(([, path]) => path);
  const absent = named.filter((path) => !existsSync(join(folder, path)));
  if (absent.length > 0) throw new Error(`package.json names files that the package does not have: ${absent.join(', ')}`);
}
