// `npm run package [-- --profile debug] [--out FOLDER]`: makes the package that an editor installs, for the machine's own system.
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { CommandError, run, runLive } from './lib/process.mjs';
import { hasPostgres, root, targetFolder } from './lib/repository.mjs';
import { prepare } from './prepare.mjs';

/**
 * Builds what is to be built and packs it.
 *
 * @param {object} [options]
 * @param {'release' | 'debug'} [options.profile]
 * @param {string} [options.built] a folder with the program and the library: nothing is built then
 * @param {string} [options.out] the folder for the package
 * @param {(text: string) => void} [options.say]
 * @returns {Promise<{ file: string, bytes: number }>}
 */
export async function makePackage({ profile = 'release', built, out = join(root, 'dist'), say = console.error } = {}) {
  const target = `${process.platform}-${process.arch}`;
  if (!['linux-x64', 'linux-arm64'].includes(target)) throw new Error(`There is no package for ${target}: Offshoot runs on Linux.`);
  await prepare({ development: true });
  if (!hasPostgres()) throw new Error('Postgres is not in node_modules; a package without it would not work. Run npm ci.');
  const programs = built ?? (await build(profile));
  const { stage } = await import('./lib/vsix/stage.mjs');
  const folder = await mkdtemp(join(tmpdir(), 'offshoot-package-'));
  try {
    await chmod(folder, 0o755);
    await stage(folder, programs, say);
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    await mkdir(out, { recursive: true });
    const file = join(out, `offshoot-${target}-${version}.vsix`);
    await pack(folder, target, file);
    return { file, bytes: (await stat(file)).size };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function build(profile) {
  const flags = profile === 'release' ? ['--release'] : [];
  const code = await runLive('cargo', ['build', '--locked', ...flags, '-p', 'offshoot', '-p', 'offshoot-interpose'], { cwd: root, quiet: true });
  if (code !== 0) throw new Error('The build failed; the message of cargo is above.');
  return join(await targetFolder(), profile);
}

async function pack(folder, target, file) {
  const vsce = join(root, 'node_modules', '@vscode', 'vsce', 'vsce');
  const args = ['package', '--target', target, '--out', file, '--no-dependencies', '--allow-missing-repository', '--no-rewrite-relative-links'];
  await rm(file, { force: true });
  const { stdout, stderr } = await run(process.execPath, [vsce, ...args], { cwd: folder, env: { ...process.env, ...(await epoch()) }, shownAs: `vsce ${args.join(' ')}` });
  if (!existsSync(file)) throw new Error(`vsce made no package:\n${stdout}${stderr}`);
  const warnings = `${stdout}${stderr}`.split('\n').filter((line) => /WARNING/.test(line));
  if (warnings.length > 0) throw new Error(`vsce is not content:\n${warnings.join('\n')}`);
}

/** The same commit gives the same package: files get the time of the commit. */
async function epoch() {
  if (process.env.SOURCE_DATE_EPOCH !== undefined) return {};
  const { code, stdout } = await run('git', ['log', '-1', '--format=%ct'], { cwd: root, allowFailure: true });
  return code === 0 ? { SOURCE_DATE_EPOCH: stdout.trim() } : {};
}

async function main() {
  const { values } = parseArgs({ options: { profile: { type: 'string', default: 'release' }, built: { type: 'string' }, out: { type: 'string' } } });
  if (!['release', 'debug'].includes(values.profile)) throw new Error('--profile is release or debug.');
  const folders = Object.fromEntries(['built', 'out'].filter((name) => values[name] !== undefined).map((name) => [name, resolve(values[name])]));
  const { file, bytes } = await makePackage({ profile: values.profile, ...folders });
  console.log(`${file}\n${(bytes / 1_000_000).toFixed(1)} MB`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  main().catch((error) => {
    console.error(error instanceof CommandError ? `${error.message}\n${error.output}` : error.message);
    process.exitCode = 1;
  });
}
