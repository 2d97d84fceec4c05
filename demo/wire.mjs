// An application's view of the database: a small client of the Postgres protocol (version 3.0, simple queries, text results,
// passwords by SCRAM-SHA-256, RFC 5802). The demo uses it so that it needs nothing but Node.
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectSocket } from 'node:net';

/** An error that Postgres reported, with its SQLSTATE in `code`. */
export class PostgresError extends Error {
  constructor(fields) {
    super(fields.M ?? 'unknown error');
    this.name = 'PostgresError';
    this.code = fields.C;
  }
}

/**
 * Connects to `postgres://user:password@host:port/database`.
 *
 * @param {string} address
 * @param {AbortSignal} [signal] ends the connection when aborted
 * @returns {Promise<Connection>}
 */
export async function connect(address, signal) {
  const url = new URL(address);
  const socket = connectSocket({ host: url.hostname, port: Number(url.port || 5432), signal });
  await once(socket, 'connect');
  const connection = new Connection(socket);
  try {
    await connection.login(decodeURIComponent(url.username), decodeURIComponent(url.password), decodeURIComponent(url.pathname.slice(1)));
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return connection;
}

class Connection {
  #socket;
  #buffer = Buffer.alloc(0);
  #messages = [];
  #wanted;
  #ended;

  /** Resolves when the server closes the connection: to the SQLSTATE that it gave, or undefined. */
  closed;

  constructor(socket) {
    this.#socket = socket;
    let lastCode;
    socket.on('data', (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      while (this.#buffer.length >= 5 && this.#buffer.length > this.#buffer.readInt32BE(1)) {
        const length = this.#buffer.readInt32BE(1) + 1;
        const message = { type: String.fromCharCode(this.#buffer[0]), body: this.#buffer.subarray(5, length) };
        this.#buffer = this.#buffer.subarray(length);
        if (message.type === 'E') lastCode = errorFields(message.body).C;
        this.#messages.push(message);
      }
      this.#wanted?.();
    });
    this.closed = new Promise((resolve) => {
      const end = () => {
        this.#ended = true;
        this.#wanted?.();
        resolve(lastCode);
      };
      socket.on('error', end).on('close', end);
    });
  }

  async login(user, password, database) {
    const parameters = Buffer.from(`user\0${user}\0database\0${database}\0application_name\0warehouse\0\0`);
    this.#socket.write(Buffer.concat([int32(parameters.length + 8), int32(196608), parameters]));
    for (;;) {
      const { type, body } = await this.#next();
      if (type === 'E') throw new PostgresError(errorFields(body));
      if (type === 'R' && body.readInt32BE(0) === 10) await this.#scram(password);
      else if (type === 'R' && body.readInt32BE(0) !== 0) throw new Error('The server wants a way of login that this client does not know.');
      if (type === 'Z') return;
    }
  }

  async #scram(password) {
    const first = `n=,r=${randomBytes(18).toString('base64')}`;
    const initial = Buffer.from(`n,,${first}`);
    this.#send('p', Buffer.concat([Buffer.from('SCRAM-SHA-256\0'), int32(initial.length), initial]));
    const challenge = await this.#authentication(11);
    const { r: nonce, s: salt, i: iterations } = Object.fromEntries(challenge.split(',').map((part) => [part[0], part.slice(2)]));
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const signed = `${first},${challenge},c=biws,r=${nonce}`;
    const signature = hmac(createHash('sha256').update(clientKey).digest(), signed);
    const proof = clientKey.map((byte, index) => byte ^ signature[index]);
    this.#send('p', Buffer.from(`c=biws,r=${nonce},p=${Buffer.from(proof).toString('base64')}`));
    const answer = Buffer.from((await this.#authentication(12)).slice(2), 'base64');
    const expected = hmac(hmac(salted, 'Server Key'), signed);
    if (answer.length !== expected.length || !timingSafeEqual(answer, expected)) throw new Error('The server does not know the password.');
  }

  async #authentication(kind) {
    const { type, body } = await this.#next();
    if (type === 'E') throw new PostgresError(errorFields(body));
    if (type !== 'R' || body.readInt32BE(0) !== kind) throw new Error('The server left the order of the login.');
    return body.toString('utf8', 4);
  }

  /** Runs `sql` and returns the columns and rows of its last result, values as text or null. */
  async query(sql) {
    this.#send('Q', Buffer.from(`${sql}\0`));
    const result = { columns: [], rows: [] };
    let failure;
    for (;;) {
      const { type, body } = await this.#next();
      if (type === 'T') Object.assign(result, { columns: columnNames(body), rows: [] });
      else if (type === 'D') result.rows.push(rowValues(body));
      else if (type === 'E') failure = new PostgresError(errorFields(body));
      else if (type === 'Z' && failure === undefined) return result;
      if (type === 'Z' || (this.#ended && failure)) throw failure;
    }
  }

  async close() {
    if (!this.#ended) this.#send('X', Buffer.alloc(0));
    this.#socket.end();
    await this.closed;
  }

  #send(type, body) {
    this.#socket.write(Buffer.concat([Buffer.from(type), int32(body.length + 4), body]));
  }

  async #next() {
    while (this.#messages.length === 0) {
      if (this.#ended) throw new Error('The server closed the connection.');
      await new Promise((resolve) => (this.#wanted = resolve));
    }
    return this.#messages.shift();
  }
}

function int32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function hmac(key, text) {
  return createHmac('sha256', key).update(text).digest();
}

function errorFields(body) {
  const parts = body.toString('utf8').split('\0').filter(Boolean);
  return Object.fromEntries(parts.map((part) => [part[0], part.slice(1)]));
}

function columnNames(body) {
  const names = [];
  for (let at = 2; at < body.length; ) {
    const end = body.indexOf(0, at);
    names.push(body.toString('utf8', at, end));
    at = end + 19;
  }
  return names;
}

function rowValues(body) {
  const values = [];
  for (let at = 2; at < body.length; ) {
    const length = body.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : body.toString('utf8', at, at + length));
    at += Math.max(length, 0);
  }
  return values;
}
