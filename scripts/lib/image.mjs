// File systems on images, for tests that need one of their own. Root and loop devices only.
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { run } from './process.mjs';

const IMAGE_BYTES = 4_000_000_000;
const MAKE = { xfs: ['mkfs.xfs', '-q', '-f', '-m', 'reflink=1'], btrfs: ['mkfs.btrfs', '-q', '-f'], ext4: ['mkfs.ext4', '-q', '-F'] };
/** A process that still ends may keep the file system busy. */
const ATTEMPTS = 50;

/** Why images cannot be mounted here, or `undefined`. */
export async function obstacle(kind) {
  if (process.getuid?.() !== 0) return 'it needs root';
  const { code } = await run(MAKE[kind][0], ['-V'], { allowFailure: true }).catch(() => ({ code: 1 }));
  return code === 0 ? undefined : `there is no ${MAKE[kind][0]}`;
}

/**
 * Mounts a new file system, calls `use` with its folder, and takes all of it away again, whatever happens. The image is sparse.
 *
 * @template T
 * @param {'xfs' | 'btrfs' | 'ext4'} kind
 * @param {(folder: string) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withImage(kind, use) {
  const folder = await mkdtemp(join(tmpdir(), 'os-image-'));
  const [image, at] = [join(folder, 'image'), join(folder, 'disk')];
  let mounted = false;
  try {
    // Postgres, as another user, must be able to pass through.
    await chmod(folder, 0o755);
    await mkdir(at);
    await run('truncate', ['-s', String(IMAGE_BYTES), image]);
    const [program, ...args] = MAKE[kind];
    await run(program, [...args, image]);
    // The loop device goes with the mount.
    await run('mount', ['-o', 'loop', image, at]);
    mounted = true;
    await chmod(at, 0o755);
    return await use(at);
  } finally {
    if (mounted) await unmount(at);
    await rm(folder, { recursive: true, force: true });
  }
}

async function unmount(at) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { code } = await run('umount', [at], { allowFailure: true });
    if (code === 0) return;
    await pause(100);
  }
  // As soon as nobody uses it any more.
  await run('umount', ['-l', at], { allowFailure: true });
}
