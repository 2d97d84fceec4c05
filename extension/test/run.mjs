// `npm run test:extension`: the unit tests of the extension, without VS Code.
// Arguments go to the test runner, such as `--test-name-pattern=tree`.
import { runLive } from '../../scripts/lib/process.mjs';
import { root } from '../../scripts/lib/repository.mjs';
import { compileTests } from './compile.mjs';

const { files, clear } = await compileTests();
try {
  process.exitCode = await runLive(process.execPath, ['--enable-source-maps', '--test', ...process.argv.slice(2), ...files], { cwd: root });
} finally {
  await clear();
}
