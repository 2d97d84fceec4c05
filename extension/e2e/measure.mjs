// Times what a person waits for in the editor: `node extension/e2e/measure.mjs [floor|current] [runs] [other]`. Medians of several
// runs; the machine should have nothing else to do. Uses the bundle that is there: `npm run build:extension -- --production` first.
// `other` is the folder of another checkout with its bundle: then only activation is timed, of each in turn.
import { ensureWorkbenches } from './install.mjs';
import { repository } from './lib/installed.mjs';
import { CONTAINER, STATUS, openStage } from './lib/offshoot.mjs';
import { Workbench } from './lib/workbench.mjs';

const [name = 'current', runs = '7', other] = process.argv.slice(2);
const results = new Map();
const note = (what, ms) => results.set(what, [...(results.get(what) ?? []), ms]);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Milliseconds until an expression about the page is true, looked at with every frame that is drawn. */
async function seen(window, expression, argument) {
  await window.page.waitForFunction(expression, argument, { polling: 'raf', timeout: 30_000 });
  return performance.now();
}
const statusSays = ([id, text]) => document.getElementById(id)?.textContent?.includes(text) === true;
const rowSays = (text) => [...document.querySelectorAll('.part.sidebar [role=treeitem]')].some((row) => row.textContent?.includes(text));

/** What *Developer: Show Running Extensions* says of this window's start. */
async function activation(window) {
  // The quickest stand last, and what is out of sight is not drawn.
  await window.page.setViewportSize({ width: 1280, height: 2400 });
  await window.command('Developer: Show Running Extensions');
  const row = window.page.locator('.runtime-extensions-editor .extension').filter({ hasText: /^Offshoot/ });
  await row.waitFor();
  return Number(/Activation: (\d+)ms/.exec(await row.innerText())?.[1]);
}

/** Opens a window, notes how long its extension took, and closes it. */
async function timeActivation(what, profile, url) {
  const window = await Workbench.open(profile, url);
  await window.until(() => window.statusText(STATUS), /\w/, 'the status bar', 60_000);
  note(what, await activation(window));
  await window.close();
}

/** This bundle and the other one in turn, so that what else the machine does troubles both. */
async function compare(stage) {
  const project = await stage.project({ init: 'dump' });
  const places = { [`activation, ${repository}`]: repository, [`activation, ${other}`]: other };
  const servers = [];
  for (const [what, source] of Object.entries(places)) {
    const server = await stage.server(project, { extension: { source } });
    servers.push({ what, profile: await stage.browser.profile(), url: server.url(project.folder) });
  }
  // The first window of a profile is slow whatever it loads.
  for (const { profile, url } of servers) await timeActivation('first windows', profile, url);
  for (let run = 0; run < Number(runs); run += 1) {
    for (const { what, profile, url } of servers) await timeActivation(what, profile, url);
    servers.reverse();
  }
}

async function measure(stage) {
  const project = await stage.project({ init: 'dump' });
  const server = await stage.server(project);
  const profile = await stage.browser.profile();
  for (let run = 0; run < Number(runs); run += 1) await timeActivation('activation (as VS Code says)', profile, server.url(project.folder));
  const one = await Workbench.open(profile, server.url(project.folder));
  const two = await Workbench.open(profile, server.url(project.folder));
  for (const window of [one, two]) await window.showContainer(CONTAINER);
  for (let run = 0; run < Number(runs); run += 1) {
    const branch = `measured-${run}`;
    const drawn = seen(one, statusSays, [STATUS, branch]);
    const begun = performance.now();
    await project.git('checkout', '--quiet', '-b', branch);
    note('git checkout -b to the status bar, branch made', (await drawn) - begun);
    await one.showScm();
    const listed = seen(one, rowSays, `new_${run}.sql`);
    await project.sql(`CREATE TABLE new_${run} (id int PRIMARY KEY)`);
    const done = performance.now();
    note('end of CREATE TABLE (offshoot sql) to source control', (await listed) - done);
    await one.showContainer(CONTAINER);
    const rows = Promise.all([one, two].map((window) => seen(window, rowSays, `both-${run}`)));
    await project.offshoot('branch', 'create', `both-${run}`);
    const made = performance.now();
    const [first, second] = await rows;
    note('end of branch create to the trees of both windows', Math.max(first, second) - made);
    note('one window after the other', Math.abs(first - second));
  }
}

await ensureWorkbenches({ only: name });
const stage = await openStage(name);
try {
  await (other === undefined ? measure(stage) : compare(stage));
} finally {
  await stage.close();
}
for (const [what, values] of results) {
  console.log(`${what}: median ${median(values).toFixed(0)} ms, from ${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}, ${values.length} runs`);
}
