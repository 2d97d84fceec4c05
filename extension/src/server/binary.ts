import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import * as vscode from 'vscode';
import { candidates, parseVersion } from './candidates.js';

/** The program that was found. */
export interface ServerBinary {
  readonly path: string;
  readonly version: string;
}

/** There is no program that can be used. The message says what to do. */
export class ServerMissing extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ServerMissing';
  }
}

/** A program that has not told its version by then is not ours. */
const VERSION_PATIENCE_MS = 10_000;

/**
 * Finds the `offshoot` program and asks for its version.
 *
 * Looks at the setting `offshoot.server.path`, then into the extension's own folder, then, when the extension runs from its source,
 * into the build folder.
 */
export async function findServer(context: vscode.ExtensionContext, log: vscode.LogOutputChannel): Promise<ServerBinary> {
  const path = resolveServer(context);
  const wanted = extensionVersion(context);
  log.debug(`Trying ${path}`);
  const version = await askVersion(path);
  if (version !== wanted) {
    throw new ServerMissing(
      vscode.l10n.t('{0} has version {1}, but this extension needs {2}. Install the same version of both.', path, version ?? '?', wanted),
    );
  }
  return { path, version };
}

/** Path of the program, unchecked. */
export function resolveServer(context: vscode.ExtensionContext): string {
  // `inspect`: the value of a workspace must never name a program, even if the setting's scope would let it.
  const inspected = vscode.workspace.getConfiguration('offshoot').inspect<string>('server.path');
  const setting = inspected?.globalValue;
  const development = context.extensionMode !== vscode.ExtensionMode.Production || existsSync(join(context.extensionPath, 'Cargo.toml'));
  const found = candidates(setting, context.extensionPath, development, homedir(), process.platform).find((path) => existsSync(path));
  if (found !== undefined) {
    return found;
  }
  const reason =
    setting !== undefined && setting !== ''
      ? vscode.l10n.t('There is no program at {0}, which the setting offshoot.server.path names.', setting)
      : vscode.l10n.t('This package of the extension has no program for {0} on {1}. Set offshoot.server.path to one.', process.platform, process.arch);
  throw new ServerMissing(reason);
}

/** The extension's version, from its manifest. */
export function extensionVersion(context: vscode.ExtensionContext): string {
  const manifest = context.extension.packageJSON as { readonly version: string };
  return manifest.version;
}

async function askVersion(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { cwd: homedir(), timeout: VERSION_PATIENCE_MS });
    return parseVersion(stdout);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ServerMissing(vscode.l10n.t('{0} could not be run: {1}', path, reason));
  }
}
