// The licences of everything that the editor's package holds and that others wrote.
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from '../process.mjs';
import { root } from '../repository.mjs';

const RULE = '='.repeat(100);
const LICENCE_FILE = /^(licen[cs]e|copying|unlicense|notice)/i;

/**
 * The text of the notices.
 *
 * @param {string[]} bundled the files that the extension's bundle was made of, from the root
 */
export async function notices(bundled) {
  const native = await readFile(join(root, 'scripts', 'lib', 'vsix', 'native-notices.txt'), 'utf8');
  const parts = grouped([...(await npmParts(bundled)), ...(await rustParts())]);
  const sections = parts.map(({ names, text }) => [RULE, ...names, '', text].join('\n'));
  return ['Offshoot contains software by others, under these terms.', '', ...sections, native].join('\n');
}

/** Parts with the same text are named together. */
function grouped(parts) {
  const byText = new Map();
  for (const { name, text } of parts) byText.set(text, [...(byText.get(text) ?? []), name]);
  return [...byText].map(([text, names]) => ({ text, names: [...new Set(names)].sort() })).sort((a, b) => (a.names[0] < b.names[0] ? -1 : 1));
}

async function npmParts(bundled) {
  const folders = new Set(bundled.map((path) => path.match(/^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]).filter(Boolean));
  return Promise.all(
    [...folders].map(async (folder) => {
      const { name, version, license } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
      return { name: `${name} ${version} (${license})`, text: await licenceIn(join(root, folder), `npm package ${name}`, license) };
    }),
  );
}

async function rustParts() {
  const host = (await run('rustc', ['-vV'])).stdout.match(/^host: (.*)$/m)[1];
  const { stdout } = await run('cargo', ['metadata', '--format-version', '1', '--locked', '--filter-platform', host], { cwd: root });
  const { packages, resolve } = JSON.parse(stdout);
  const linked = linkedInto(packages.filter(({ name }) => ['offshoot', 'offshoot-interpose', 'offshoot-schema-wasm'].includes(name)).map(({ id }) => id), resolve.nodes);
  const others = packages.filter(({ id, source }) => source !== null && linked.has(id));
  return Promise.all(
    others.map(async ({ name, version, license, license_file: file, manifest_path: manifest }) => {
      const text = file === null ? await licenceIn(dirname(manifest), `crate ${name}`, license) : await readFile(join(dirname(manifest), file), 'utf8');
      return { name: `${name} ${version} (${license})`, text: text.trim() };
    }),
  );
}

/** Everything that is reached by dependencies that are neither of tests nor of build scripts. */
function linkedInto(roots, nodes) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const seen = new Set();
  const open = [...roots];
  while (open.length > 0) {
    const id = open.pop();
    if (seen.has(id)) continue;
    seen.add(id);
    for (const { pkg, dep_kinds: kinds } of byId.get(id).deps) if (kinds.some(({ kind }) => kind === null)) open.push(pkg);
  }
  return seen;
}

/** The licence files of a package. Where it leaves a choice and MIT is in it, that is ours. */
async function licenceIn(folder, what, license) {
  const found = existsSync(folder) ? (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name)).map(({ name }) => name) : [];
  const mit = found.filter((name) => /mit/i.test(name));
  const chosen = /\bMIT\b/.test(license ?? '') && mit.length > 0 ? mit : found;
  if (chosen.length === 0) return `The ${what} says no more than this: ${license}`;
  const texts = await Promise.all(chosen.sort().map((name) => readFile(join(folder, name), 'utf8')));
  return texts.map((text) => text.replaceAll('\r\n', '\n').trim()).join('\n\n');
}
