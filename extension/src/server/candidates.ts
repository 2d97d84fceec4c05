import { join } from 'node:path';

/**
 * Where the program may lie, best first. A setting that is there excludes everything else: who names a program wants that one or an
 * error.
 */
export function candidates(
  setting: string | undefined,
  extensionPath: string,
  development: boolean,
  home: string,
  platform: NodeJS.Platform,
): string[] {
  if (setting !== undefined && setting.trim() !== '') {
    const path = setting.trim();
    return [path.startsWith('~/') ? join(home, path.slice(2)) : path];
  }
  const name = platform === 'win32' ? 'offshoot.exe' : 'offshoot';
  const bundled = join(extensionPath, 'server', name);
  if (!development) {
    return [bundled];
  }
  return [bundled, join(extensionPath, 'target', 'release', name), join(extensionPath, 'target', 'debug', name)];
}

/** `0.1.0` of `offshoot 0.1.0`. */
export function parseVersion(output: string): string | undefined {
  return /^offshoot (\S+)/.exec(output)?.[1];
}
