import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../demo/arguments.mjs';
import { withoutPasswords } from '../demo/story.mjs';
import { formatBytes, formatCount, formatDuration, sideBySide, table, Terminal, wrap } from '../demo/terminal.mjs';

test('times_and_sizes_are_written_with_fitting_units', () => {
  assert.deepEqual([0, 85.4, 999.6, 1234, 59_940, 125_000].map(formatDuration), ['0 ms', '85 ms', '1.0 s', '1.2 s', '59.9 s', '2 min 5 s']);
  assert.deepEqual([0, 999, 92_160, 999_600, 1.44e9, -3_600_000].map(formatBytes), ['0 B', '999 B', '92 kB', '1.0 MB', '1.4 GB', '-3.6 MB']);
  assert.deepEqual([7, 1000, 1_000_000].map(formatCount), ['7', '1,000', '1,000,000']);
});

test('a_table_lines_up_and_is_cut_at_the_width', () => {
  assert.deepEqual(table(['city', 'items'], [['Gdańsk', 4], ['Malmö', null]], 40), ['city    items', '------  -----', 'Gdańsk  4', 'Malmö']);
  assert.deepEqual(table(['a'], [['0123456789']], 8), ['a', '-----...', '01234...']);
});

test('two_blocks_stand_beside_each_other_only_where_there_is_room', () => {
  assert.deepEqual(sideBySide(['ab', 'c'], ['x'], 20), ['ab    x', 'c']);
  assert.deepEqual(sideBySide(['ab', 'c'], ['x'], 6), ['ab', 'c', '', 'x']);
});

test('prose_is_wrapped_and_long_words_stay_whole', () => {
  assert.deepEqual(wrap('one two three-and-more four', 8), ['one two', 'three-and-more', 'four']);
});

test('a_pipe_gets_neither_colours_nor_a_moving_line', async () => {
  let written = '';
  const stream = { isTTY: false, write: (text) => (written += text) };
  const terminal = new Terminal({ stream, env: {} });
  await terminal.during('working', async () => {});
  terminal.line(terminal.paint('bold', 'title'));
  assert.equal(written, 'title\n');
});

test('no_color_wins_on_a_terminal', () => {
  const stream = { isTTY: true, columns: 80, write: () => {} };
  assert.equal(new Terminal({ stream, env: { NO_COLOR: '1' } }).paint('bold', 'title'), 'title');
  assert.notEqual(new Terminal({ stream, env: {} }).paint('bold', 'title'), 'title');
});

test('passwords_in_addresses_are_hidden', () => {
  assert.equal(withoutPasswords('at postgres://me:s3%40cret@127.0.0.1:5000/app.'), 'at postgres://me:***@127.0.0.1:5000/app.');
});

test('arguments_out_of_range_are_refused', () => {
  assert.equal(parseArguments([]).rows, 1_000_000);
  for (const rows of ['0', 'many', '1e99', '1.5']) assert.throws(() => parseArguments(['--rows', rows]), /--rows takes/);
  assert.throws(() => parseArguments(['--colour']));
});
