// What must be in a branch: the rows that its Postgres has acknowledged, and nobody else's.
//
// A session is one connection of a writer; it inserts (session, 1), (session, 2) and so on, one transaction each, and never goes
// back. So a branch is right when every session is there without a gap, up to what was acknowledged to it at least, and no
// session is there that neither wrote to the branch nor to those it comes from.

/** One branch. `expected` has several entries while it is not known whether an operation came to pass. */
export class Branch {
  /** @type {Map<number, number>[]} per possible state: what each session was told last */
  expected = [new Map()];
  /** Sessions that may be there at all. */
  allowed = new Set();
  /** Nobody may connect while this is set. */
  held = false;

  constructor(name) {
    this.name = name;
  }

  acknowledge(session, seq) {
    for (const state of this.expected) state.set(session, seq);
  }

  /** What may be acknowledged now, for each possible state. */
  copies() {
    return this.expected.map((state) => new Map(state));
  }

  /** What is acknowledged now. */
  snapshot() {
    return new Map(this.expected[0]);
  }

  /** Makes this one a child of `parent`, whose state at the beginning of the operation was `state`; or leaves that open. */
  become(state, parent, isKnown) {
    this.expected = isKnown ? [state] : [state, ...this.expected];
    for (const session of parent.allowed) this.allowed.add(session);
  }

  /**
   * Compares with what was read: the count and the greatest number of each session.
   *
   * @param {{ session: number, count: number, last: number }[]} rows
   * @param {Map<number, number>[]} before `copies` from before it was read: writers go on meanwhile
   * @returns {string[]} what is wrong; none when one of the possible states fits, which is the only one from then on
   */
  judge(rows, before) {
    const wrong = [];
    const found = new Map(rows.map((row) => [row.session, row]));
    for (const { session, count, last } of rows) {
      if (count !== last) wrong.push(`session ${session} has ${count} rows up to ${last}`);
      if (!this.allowed.has(session)) wrong.push(`session ${session} never wrote here`);
    }
    const lost = (state) =>
      [...state].filter(([session, seq]) => seq > (found.get(session)?.last ?? 0)).map(([session, seq]) => `session ${session}: ${seq} acknowledged, ${found.get(session)?.last ?? 0} there`);
    const losses = before.map(lost);
    const fits = losses.findIndex((of) => of.length === 0);
    if (fits < 0) wrong.push(...losses[0]);
    else this.expected = [this.expected[fits]];
    return wrong;
  }
}

export const TABLES = `
  CREATE TABLE ack (session int, seq int, PRIMARY KEY (session, seq));
  CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL, filler text NOT NULL);
  INSERT INTO account SELECT g, 0, repeat('x', 100) FROM generate_series(0, 9999) g;
  CREATE INDEX ON account (balance)`;

/** One transaction: money moves between two accounts, and that it did is noted. */
export function transaction(session, seq) {
  const [from, to] = [(session * 7919 + seq * 104_729) % 10_000, (session * 31 + seq * 1_299_709) % 10_000];
  const [first, second] = from < to ? [[from, -1], [to, 1]] : [[to, 1], [from, -1]];
  const move = ([id, sign]) => `UPDATE account SET balance = balance + ${sign * (seq % 100)} WHERE id = ${id};`;
  return `BEGIN; ${move(first)} ${move(second)} INSERT INTO ack VALUES (${session}, ${seq}); COMMIT`;
}

/** Reads a branch and judges it; what is wrong. */
export async function check(connection, branch) {
  const before = branch.copies();
  const { rows } = await connection.query('SELECT session, count(*), max(seq) FROM ack GROUP BY 1 ORDER BY 1');
  const wrong = branch.judge(rows.map(([session, count, last]) => ({ session: Number(session), count: Number(count), last: Number(last) })), before);
  const sum = (await connection.query('SELECT sum(balance), count(*) FROM account')).rows[0];
  if (sum[0] !== '0' || sum[1] !== '10000') wrong.push(`the accounts hold ${sum[0]} in ${sum[1]} rows`);
  return wrong.map((text) => `${branch.name}: ${text}`);
}

/** Compares every index of the branch with its table; false where this Postgres lacks amcheck. */
export async function checkIndexes(connection) {
  try {
    await connection.query('CREATE EXTENSION IF NOT EXISTS amcheck');
  } catch (error) {
    if (error.code === '58P01' || error.code === '0A000') return false;
    throw error;
  }
  await connection.query(`SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam
    JOIN pg_index i ON i.indexrelid = c.oid WHERE a.amname = 'btree' AND c.relkind = 'i' AND i.indisvalid`);
  return true;
}
