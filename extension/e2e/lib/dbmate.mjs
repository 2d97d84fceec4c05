// Stands in for dbmate where Offshoot runs it, on whatever database DATABASE_URL names: `migrate` and `rollback`, in the folder that it is run in.
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = 'db/migrations';

/** Puts the stand-in, or the dbmate that OFFSHOOT_TEST_DBMATE names, on the PATH of a project. @param {import('./project.mjs').Project} project */
export async function installDbmate(project) {
  const tool = join(dirname(project.folder), 'tools', 'dbmate');
  await mkdir(dirname(tool), { recursive: true });
  const real = process.env.OFFSHOOT_TEST_DBMATE;
  const run = real === undefined ? `'${process.execPath}' '${fileURLToPath(import.meta.url)}'` : `'${real}' --no-dump-schema`;
  await writeFile(tool, `#!/bin/sh\nexec ${run} "$@"\n`);
  await chmod(tool, 0o755);
  project.env.PATH = `${dirname(tool)}:${project.env.PATH}`;
}

/** A migration as dbmate has it. @param {string} up @param {string} down */
export const migration = (up, down) => `-- migrate:up\n${up}\n\n-- migrate:down\n${down}\n`;

/** Messages of the Postgres protocol, one after the other. @param {import('node:net').Socket} socket */
async function* messages(socket) {
  let rest = Buffer.alloc(0);
  for await (const chunk of socket) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const end = rest.readInt32BE(1) + 1;
      yield { type: String.fromCharCode(rest[0]), body: rest.subarray(5, end) };
      rest = rest.subarray(end);
    }
  }
}

const int = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};

function message(type, ...parts) {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([Buffer.from(type), int(body.length + 4), body]);
}

/** The client's side of SCRAM-SHA-256. @param {string} password */
function scram(password) {
  const hmac = (key, text) => createHmac('sha256', key).update(text).digest();
  const first = `n=,r=${randomBytes(18).toString('base64')}`;
  const last = (challenge) => {
    const [, nonce, salt, rounds] = /^r=([^,]*),s=([^,]*),i=(\d+)/.exec(challenge);
    const key = hmac(pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(rounds), 32, 'sha256'), 'Client Key');
    const bare = `c=biws,r=${nonce}`;
    const signature = hmac(createHash('sha256').update(key).digest(), `${first},${challenge},${bare}`);
    return `${bare},p=${key.map((byte, at) => byte ^ signature[at]).toString('base64')}`;
  };
  return { first: `n,,${first}`, last };
}

/** A connection that runs statements. @param {string} address `postgres://user:password@host:port/database` */
async function open(address) {
  const url = new URL(address);
  const socket = connect(Number(url.port), url.hostname);
  const incoming = messages(socket);
  const proof = scram(decodeURIComponent(url.password));
  socket.write(message('', int(196_608), `user\0${decodeURIComponent(url.username)}\0database\0${url.pathname.slice(1)}\0\0`));
  /** First columns of the rows, once the server is ready again. */
  const answer = async () => {
    const rows = [];
    let failure;
    for (;;) {
      const { value, done } = await incoming.next();
      if (done) throw new Error('the server has closed the connection');
      const { type, body } = value;
      const kind = type === 'R' ? body.readInt32BE(0) : undefined;
      if (kind === 10) socket.write(message('p', 'SCRAM-SHA-256\0', int(proof.first.length), proof.first));
      if (kind === 11) socket.write(message('p', proof.last(body.subarray(4).toString())));
      if (type === 'D') rows.push(body.subarray(6, 6 + body.readInt32BE(2)).toString());
      if (type === 'E') failure ??= /\0M([^\0]*)/.exec(body.toString())?.[1] ?? 'an error';
      // Nothing follows what is refused before the first statement.
      if (type === 'Z' || (type === 'E' && body.toString().startsWith('SFATAL'))) break;
    }
    if (failure !== undefined) throw new Error(failure);
    return rows;
  };
  await answer();
  return {
    run: (sql) => {
      socket.write(message('Q', `${sql}\0`));
      return answer();
    },
    close: () => socket.end(message('X')),
  };
}

async function main(words) {
  const database = await open(process.env.DATABASE_URL ?? '');
  await database.run('create table if not exists schema_migrations (version varchar primary key)');
  const applied = await database.run('select version from schema_migrations order by 1');
  const files = readdirSync(FOLDER).sort();
  const version = (name) => name.split('_')[0];
  const half = (name, at) => readFileSync(join(FOLDER, name), 'utf8').split('-- migrate:down')[at];
  const last = files.find((file) => version(file) === applied.at(-1));
  if (words.includes('rollback')) {
    if (last === undefined) throw new Error('nothing is applied');
    console.log(`Rolling back: ${last}`);
    await database.run(`begin; ${half(last, 1)}; delete from schema_migrations where version = '${version(last)}'; commit`);
  } else {
    for (const name of files.filter((file) => !applied.includes(version(file)))) {
      console.log(`Applying: ${name}`);
      await database.run(`begin; ${half(name, 0)}; insert into schema_migrations values ('${version(name)}'); commit`);
    }
  }
  database.close();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main(process.argv.slice(2)).catch((error) => {
    console.error(`Error: ${error.message}`);
    process.exit(1);
  });
}
