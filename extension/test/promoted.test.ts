import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportedText, importedText } from '../src/commands/bundleTexts.js';
import { asPlainText, promotedText, refusal } from '../src/migrations/promoted.js';
import type { Bundle, Promoted } from '../src/protocol/types.js';
import { branch } from './support/statuses.js';

const tried: Promoted = {
  branch: 'feature/lots', commit: '0123456789abcdef', to: 'staging', dryRun: true, passed: false, lacked: ['db/1_lots.sql', 'db/2_racks.sql'],
  checks: [
    { name: 'applies', outcome: 'passed', message: '' },
    { name: 'reversible', outcome: 'failed', message: 'the table `lots` stays', hint: 'Drop it.', place: { file: 'offshoot.toml', line: 7 } },
  ],
  overridden: false, mayOverride: true, takenBack: false, notes: ['what is not committed takes no part'], tookMs: 900,
};

test('a_promotion_is_told_with_its_files_and_with_what_does_not_hold_and_why', () => {
  assert.equal(
    asPlainText(tried),
    [
      'db/1_lots.sql', 'db/2_racks.sql', '', 'On a throwaway of staging:', '✓ applies', '✗ reversible (offshoot.toml:7): The table `lots` stays. Drop it.', '',
      'What is not committed takes no part.',
    ].join('\n'),
  );
  assert.equal(refusal(tried), 'The migrations of feature/lots were not promoted: staging is as it was. ✗ reversible (offshoot.toml:7): The table `lots` stays. Drop it.');
  const many = asPlainText({ ...tried, lacked: Array.from({ length: 12 }, (_, at) => `db/${at.toString()}.sql`) });
  assert.match(many, /^db\/0\.sql\n[^]*\ndb\/9\.sql\nand 2 more\n\nOn a/);
});

test('the_report_of_a_promotion_says_whether_it_was_a_trial', () => {
  const report = promotedText({ ...tried, passed: true });
  assert.match(report, /^# Promotion of feature\/lots to staging\n\n\*\*They can be promoted\\\. staging is as it was: this was a trial\\\.\*\*/);
  assert.match(report, /## What staging lacks of feature\/lots \\\(01234567\\\)\n\n- `db\/1_lots\.sql`/);
  const applied = { branch: 'staging', throwaway: false, passed: true, ran: tried.lacked, changes: [], sql: '', steps: [] };
  assert.match(promotedText({ ...tried, passed: true, overridden: true, applied }), /staging has the migrations of feature\/lots now\\\. What did not hold was gone past/);
  assert.match(promotedText({ ...tried, takenBack: true, applied: { ...applied, passed: false } }), /again what it was before/);
});

test('what_a_bundle_needs_and_what_others_must_not_have_of_it_is_told', () => {
  const bundle: Bundle = {
    branch: 'feature', postgres: '18.1', systemIdentifier: '7', timeline: 1, checkpoint: '0/1', base: { id: '0123456789', label: 'main@bundle-1a2b' },
    relations: 3, pages: 12, unpackedBytes: 98_304, extensions: [], roles: ['postgres'], schema: 'a',
  };
  assert.equal(
    exportedText({ bundle, bytes: 20_000 }, '/tmp/feature.bundle'),
    'feature is in /tmp/feature.bundle: 20 kB, 12 changed pages. It applies where there is its base: main@bundle-1a2b (01234567). In it are the data of its pages, deleted rows among them, and the password verifiers of postgres.',
  );
  const whole = { ...bundle };
  delete whole.base;
  assert.match(exportedText({ bundle: whole, bytes: 1, snapshot: 'bundle-9' }, 'x'), /all 12 pages\. Bundles of feature and its branches are small from now on, as long as there is the snapshot feature@bundle-9\./);
  assert.equal(
    importedText({ branch: branch('copy', { parent: 'main' }), bundle, notes: ['the schema was not compared'] }),
    'Database branch copy was made of a bundle of feature, over main. The schema was not compared.',
  );
});
