// `npm start`: builds Offshoot and plays the story of the demo with what was built.
import { join } from 'node:path';
import { HELP, parseArguments } from '../demo/arguments.mjs';
import { play } from '../demo/play.mjs';
import { CommandError, runLive } from './lib/process.mjs';
import { root, targetFolder } from './lib/repository.mjs';

async function build(quiet) {
  console.error('Building Offshoot (cargo build --release). The first time takes a few minutes.');
  let code;
  try {
    code = await runLive('cargo', ['build', '--release', '-p', 'offshoot', '-p', 'offshoot-interpose'], { cwd: root, quiet });
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new Error('cargo was not found. Install Rust (https://rustup.rs) and run npm start again.');
  }
  if (code !== 0) throw new Error('The build failed; the message of cargo is above. A C compiler and linker (cc) have to be installed.');
  return join(await targetFolder(), 'release', 'offshoot');
}

async function main() {
  const options = parseArguments(process.argv.slice(2));
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const bin = options.bin ?? (await build(options.json));
  return play({ ...options, bin });
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
