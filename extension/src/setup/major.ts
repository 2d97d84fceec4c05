import { l10n } from 'vscode';
import type { PostgresMajor, PostgresVersions } from '../protocol/types.js';

/** A version to choose: absent means that the choice is left to Offshoot. */
export interface MajorChoice {
  readonly label: string;
  readonly description: string;
  readonly major?: number;
}

/** The versions of Postgres as rows; those that are on this machine say so. */
export function majorChoices({ majors, default: usual }: PostgresVersions): MajorChoice[] {
  const newest = majors.find(({ major }) => major === usual);
  const first = newest === undefined ? l10n.t('of those that there are') : `Postgres ${newest.version ?? usual.toString()}, ${whereabouts(newest)}`;
  return [
    { label: l10n.t('Newest'), description: first },
    ...majors.map((each) => ({
      label: `Postgres ${each.major.toString()}`,
      description: [each.version, whereabouts(each)].filter((part) => part !== undefined).join(', '),
      major: each.major,
    })),
  ];
}

function whereabouts({ version }: PostgresMajor): string {
  return version === undefined ? l10n.t('is fetched first') : l10n.t('on this machine');
}
