// Builds the schema module for the editor: `node scripts/wasm.mjs [--require]`. What is there and fresh is not built again: cargo decides.
//
// The compiler's wasm target comes from rustup. Where that cannot be had, Debian's own compiler with the library's source does; where
// there is neither, the editor asks the program instead, and this says so.
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from './lib/process.mjs';
import { root, targetFolder } from './lib/repository.mjs';

const TARGET = 'wasm32-unknown-unknown';
const CRATE = 'offshoot_schema_wasm';
const LIMIT_MS = 1_800_000;
const DEBIAN_PACKAGES = ['rustc-web', 'cargo-web', 'rust-web-src', 'lld'];

/**
 * Builds the module.
 *
 * @param {{ say?: (text: string) => void, way?: 'rustup' | 'debian' }} [options] `way`: this one or none
 * @returns {Promise<{ module: string, script: string, types: string } | undefined>} files; nothing where there is no compiler for it
 */
export async function buildWasm({ say = console.error, way } = {}) {
  const found = await compiler(way, say);
  if (found === undefined) {
    say(`SKIPPED: the schema module is not built: no compiler for ${TARGET}. The editor asks the program instead. To have it: rustup target add ${TARGET}`);
    return undefined;
  }
  const folder = join(await targetFolder(), 'wasm');
  const out = join(folder, 'schema');
  await mkdir(out, { recursive: true });
  const module = await compile(found, join(folder, found.name));
  const files = { module: join(out, `${CRATE}_bg.wasm`), script: join(out, `${CRATE}.js`), types: join(out, `${CRATE}.d.ts`) };
  const bindgen = await buildBindgen(folder);
  if (!(await isNewer(files.script, [module, bindgen]))) {
    await generate(bindgen, module, out);
  }
  return files;
}

/** Others may do the same at this moment: each file comes whole, the script last, because it tells what is fresh. */
async function generate(bindgen, module, out) {
  const fresh = await mkdtemp(`${out}-`);
  try {
    await run(bindgen, [module, fresh], { timeoutMs: LIMIT_MS });
    const names = (await readdir(fresh)).sort((a, b) => Number(a === `${CRATE}.js`) - Number(b === `${CRATE}.js`));
    for (const name of names) await rename(join(fresh, name), join(out, name));
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

async function compile({ program, args, env }, folder) {
  await mkdir(folder, { recursive: true });
  const all = ['build', '--quiet', '--profile', 'wasm', '--target', TARGET, '-p', 'offshoot-schema-wasm', ...args];
  await run(program, all, { cwd: root, env: { ...process.env, ...env, CARGO_TARGET_DIR: folder }, timeoutMs: LIMIT_MS });
  return join(folder, TARGET, 'wasm', `${CRATE}.wasm`);
}

/** The program that makes JavaScript of a module. It is for this machine, so the usual compiler builds it. */
async function buildBindgen(folder) {
  const manifest = join(root, 'sidecar', 'schema-wasm', 'bindgen', 'Cargo.toml');
  const env = { ...process.env, CARGO_TARGET_DIR: join(folder, 'bindgen') };
  await run('cargo', ['build', '--quiet', '--locked', '--manifest-path', manifest], { cwd: root, env, timeoutMs: LIMIT_MS });
  return join(folder, 'bindgen', 'debug', 'offshoot-schema-wasm-bindgen');
}

async function isNewer(file, sources) {
  const time = async (path) => (await stat(path).catch(() => undefined))?.mtimeMs;
  const own = await time(file);
  return own !== undefined && (await Promise.all(sources.map(time))).every((source) => source < own);
}

async function compiler(way, say) {
  const rustup = { name: 'rustup', program: 'cargo', args: ['--locked'], env: {} };
  if (way !== 'debian') {
    if (await hasTarget()) return rustup;
    // A minute at most: where nothing can be downloaded, this only fails.
    await run('rustup', ['target', 'add', TARGET], { cwd: root, allowFailure: true, timeoutMs: 60_000 }).catch(() => undefined);
    if (await hasTarget()) return rustup;
  }
  return way === 'rustup' ? undefined : debian(say);
}

/** Whether the compiler that this repository is built with has the target's library. */
async function hasTarget() {
  const { code, stdout } = await run('rustc', ['--print', 'target-libdir', '--target', TARGET], { cwd: root, allowFailure: true }).catch(() => ({ code: 1 }));
  return code === 0 && existsSync(stdout.trim());
}

async function debian(say) {
  const there = () => existsSync('/usr/bin/rustc') && linker() !== undefined;
  if (!(await isNewEnough()) || !there()) await install(say);
  if (!(await isNewEnough()) || !there()) return undefined;
  return {
    name: 'debian',
    program: '/usr/bin/cargo',
    // The library is built along; Debian has its source.
    args: ['-Zbuild-std=std,panic_abort'],
    env: {
      PATH: ['/usr/bin', '/bin'].join(delimiter),
      RUSTC: '/usr/bin/rustc',
      RUSTC_BOOTSTRAP: '1',
      RUSTUP_TOOLCHAIN: '',
      RUSTFLAGS: '-Clinker-flavor=wasm-ld',
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: linker(),
    },
  };
}

function linker() {
  const names = ['/usr/bin/lld', ...Array.from({ length: 15 }, (_, at) => `/usr/bin/lld-${28 - at}`)];
  return names.find((path) => existsSync(path));
}

/** Debian's compiler, if it can compile this workspace. */
async function isNewEnough() {
  const { code, stdout } = await run('/usr/bin/rustc', ['--version'], { allowFailure: true }).catch(() => ({ code: 1 }));
  if (code !== 0) return false;
  const wanted = /^rust-version = "1\.(\d+)/m.exec(await readFile(join(root, 'Cargo.toml'), 'utf8'));
  return Number(/^rustc 1\.(\d+)/.exec(stdout)?.[1] ?? 0) >= Number(wanted?.[1] ?? 0);
}

async function install(say) {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  say(`Installing ${DEBIAN_PACKAGES.join(', ')}…`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('apt-get', ['update', '--quiet'], { env, allowFailure: true, timeoutMs: 120_000 });
  await run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...DEBIAN_PACKAGES], { env, allowFailure: true, timeoutMs: 300_000 });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const started = performance.now();
    const files = await buildWasm();
    if (files !== undefined) console.log(`${files.module}: ${(await stat(files.module)).size} bytes, ${((performance.now() - started) / 1000).toFixed(0)} s`);
    else if (process.argv.includes('--require')) process.exitCode = 1;
  } catch (error) {
    console.error(error.output ?? error.message);
    process.exitCode = 1;
  }
}
