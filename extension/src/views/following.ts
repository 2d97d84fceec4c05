import { l10n } from 'vscode';
import type { Branch, FollowState } from '../protocol/types.js';
import { formatDuration } from './words.js';

/** The state of following in words. */
function stateWords(state: FollowState): string {
  switch (state) {
    case 'waiting':
      return l10n.t('waiting for its turn');
    case 'catchingUp':
      return l10n.t('catching up');
    case 'current':
      return l10n.t('current');
    case 'inUse':
      return l10n.t('changes wait while the branch is in use');
    case 'disconnected':
      return l10n.t('source not reached');
    case 'refused':
      return l10n.t('source refuses');
    case 'slotLost':
      return l10n.t('replication slot lost');
    case 'upgraded':
      return l10n.t('source upgraded');
    case 'otherSystem':
      return l10n.t('another server at the address');
    case 'diverged':
      return l10n.t('history of the source diverged');
    case 'restored':
      return l10n.t('source was restored');
    case 'timelineSwitched':
      return l10n.t('source switched its timeline');
    case 'addressGone':
      return l10n.t('address of the source gone');
    case 'masking':
      return l10n.t('stopped by masking rules');
    case 'failed':
      return l10n.t('following failed');
  }
}

function isWell(state: FollowState): boolean {
  return state === 'waiting' || state === 'catchingUp' || state === 'current' || state === 'inUse';
}

/** Behind a branch's name: only what is out of the ordinary takes room. */
export function followsBrief({ follows }: Branch): string | undefined {
  if (follows === undefined) {
    return undefined;
  }
  return isWell(follows.state) ? l10n.t('follows a server') : stateWords(follows.state);
}

/** The server that a branch follows, how that goes, and how fresh the branch is. */
export function followsWords({ follows }: Branch, now: number): string | undefined {
  if (follows === undefined) {
    return undefined;
  }
  const words = [
    l10n.t('follows {0}', follows.source),
    stateWords(follows.state),
    follows.freshAt === undefined ? undefined : l10n.t('data of {0} ago', formatDuration(Math.max(0, now - follows.freshAt))),
    follows.trouble,
  ];
  return words.filter((word) => word !== undefined).join(', ');
}
