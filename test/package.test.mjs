import assert from 'node:assert/strict';
import { createWriteStream, existsSync } from 'node:fs';
import { access, chmod, constants, mkdir, mkdtemp, readFile, readdir, rename, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import yauzl from 'yauzl';
import { LIMIT_BYTES } from '../extension/build.mjs';
import { run } from '../scripts/lib/process.mjs';
import { hasPostgres, root } from '../scripts/lib/repository.mjs';
import { makePackage } from '../scripts/package.mjs';

const PATIENCE_MS = 600_000;
const bin = process.env.OFFSHOOT_TEST_BIN ?? join(root, 'target', 'debug', 'offshoot');
const skip = reason();

function reason() {
  if (process.platform !== 'linux') return 'there is no package for this system';
  if (!existsSync(bin)) return `${bin} is not built: run cargo build --workspace`;
  return hasPostgres() ? false : 'Postgres is not in node_modules: run npm ci';
}

/** Unpacks as VS Code does: regular files only, with the permissions that the archive has for them. */
async function unpack(file, into) {
  const zip = await new Promise((resolve, reject) => yauzl.open(file, { lazyEntries: true }, (error, opened) => (error ? reject(error) : resolve(opened))));
  const open = (entry) => new Promise((resolve, reject) => zip.openReadStream(entry, (error, stream) => (error ? reject(error) : resolve(stream))));
  await new Promise((resolve, reject) => {
    zip.on('entry', (entry) => extract(entry).then(() => zip.readEntry(), reject));
    zip.on('end', resolve).on('error', reject);
    zip.readEntry();
  });
  async function extract(entry) {
    const target = join(into, entry.fileName);
    if (entry.fileName.endsWith('/')) return;
    await mkdir(dirname(target), { recursive: true });
    await pipeline(await open(entry), createWriteStream(target, { mode: (entry.externalFileAttributes >>> 16) & 0o777 }));
  }
}

/** A folder that holds nothing but git, for a `PATH` without Node, Rust, npm and Postgres. */
async function onlyGit(folder) {
  await mkdir(folder);
  const found = process.env.PATH.split(delimiter).map((place) => join(place, 'git')).find((path) => existsSync(path));
  await symlink(found, join(folder, 'git'));
  return folder;
}

test('a_package_works_where_nothing_else_is_installed', { skip, timeout: PATIENCE_MS }, async (t) => {
  const place = await mkdtemp(join(tmpdir(), 'offshoot-vsix-'));
  await chmod(place, 0o755);
  const env = { PATH: await onlyGit(join(place, 'bin')), HOME: place, OFFSHOOT_HOME: join(place, 'home'), GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C' };
  let extension = join(place, 'unpacked', 'extension');
  const repository = join(place, 'repository');
  const offshoot = (...args) => run(join(extension, 'server', 'offshoot'), args, { cwd: repository, env, allowFailure: true, timeoutMs: PATIENCE_MS });
  t.after(async () => {
    if (existsSync(repository)) await offshoot('engine', 'stop');
    await rm(place, { recursive: true, force: true });
  });

  const { file } = await makePackage({ built: dirname(bin), out: join(place, 'dist'), say: () => {} });
  await unpack(file, join(place, 'unpacked'));

  await t.test('the_manifest_is_that_of_an_extension_alone', async () => {
    const manifest = JSON.parse(await readFile(join(extension, 'package.json'), 'utf8'));
    assert.deepEqual(['scripts', 'devDependencies', 'optionalDependencies', 'private'].filter((key) => key in manifest), []);
    assert.deepEqual(Object.keys(manifest.engines), ['vscode']);
    await access(join(extension, manifest.main));
    await access(join(extension, manifest.icon));
  });

  await t.test('nothing_of_the_repository_is_packed_along', async () => {
    const entries = (await readdir(extension)).sort();
    const allowed = ['LICENSE.txt', 'THIRD-PARTY-NOTICES.txt', 'changelog.md', 'extension', 'l10n', 'package.json', 'package.nls.json', 'readme.md', 'server', 'syntaxes'];
    assert.deepEqual(entries.filter((entry) => !allowed.includes(entry)), []);
    const bundle = await readFile(join(extension, 'extension', 'dist', 'main.cjs'));
    assert.ok(bundle.length <= LIMIT_BYTES, `${bundle.length} bytes`);
    const built = (await readdir(join(extension, 'extension', 'dist'))).filter((name) => name !== 'schema.wasm');
    assert.deepEqual(built, ['main.cjs', 'picture.js']);
  });

  await t.test('the_licences_of_others_are_in_it', async () => {
    const notices = await readFile(join(extension, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    for (const name of ['PostgreSQL', 'OpenSSL', 'ICU', 'tokio', 'vscode-jsonrpc']) assert.match(notices, new RegExp(`^${name}\\b`, 'm'));
    assert.ok(!notices.includes(root), 'it names a path of this machine');
  });

  await t.test('programs_keep_their_permissions', async () => {
    for (const program of ['offshoot', 'postgres/bin/postgres', 'postgres/bin/initdb']) await access(join(extension, 'server', program), constants.X_OK);
  });

  await t.test('the_program_has_the_version_of_the_extension', async () => {
    const { version } = JSON.parse(await readFile(join(extension, 'package.json'), 'utf8'));
    await run('git', ['init', '--quiet', '--initial-branch', 'main', repository], { env });
    assert.equal((await offshoot('--version')).stdout.trim(), `offshoot ${version}`);
  });

  await t.test('doctor_finds_the_packaged_postgres', async () => {
    const { code, stdout, stderr } = await offshoot('doctor');
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.ok(stdout.includes(join(extension, 'server', 'postgres', 'bin')), stdout);
  });

  await t.test('a_database_is_made_and_answers', async () => {
    const made = await offshoot('init', '--empty');
    assert.equal(made.code, 0, `${made.stdout}${made.stderr}`);
    const answer = await offshoot('sql', '-c', "create extension pg_trgm; select similarity('word', 'word') as same, now() at time zone 'Asia/Tokyo' is not null as zone");
    assert.equal(answer.code, 0, `${answer.stdout}${answer.stderr}`);
    assert.match(answer.stdout, /\b1\b.*\bt(rue)?\b/s);
  });

  await t.test('an_update_that_moves_the_package_keeps_the_database', async () => {
    const stopped = await offshoot('engine', 'stop');
    assert.equal(stopped.code, 0, `${stopped.stdout}${stopped.stderr}`);
    const updated = join(place, 'updated');
    await rename(extension, updated);
    extension = updated;
    const answer = await offshoot('sql', '-c', 'select similarity(current_database(), current_database()) as same');
    assert.equal(answer.code, 0, `${answer.stdout}${answer.stderr}`);
    assert.match(answer.stdout, /\b1\b/);
  });
});
