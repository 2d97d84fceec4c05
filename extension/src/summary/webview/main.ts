import type { Picture } from '../../protocol/summary.js';
import type { FromView, ToView, ViewState } from '../messages.js';
import { View } from './view.js';

interface Editor {
  readonly postMessage: (message: FromView) => void;
  readonly getState: () => ViewState | undefined;
  readonly setState: (state: ViewState) => void;
}

declare function acquireVsCodeApi(): Editor;

const editor = acquireVsCodeApi();
const post = (message: FromView): void => {
  editor.postMessage(message);
};
let view: View | undefined;

window.addEventListener('message', ({ data }: MessageEvent<ToView>) => {
  switch (data.kind) {
    case 'start': {
      const former = editor.getState();
      const isSame = former?.branch === data.ref.branch && former.folder === data.ref.folder;
      const remember = (state: ViewState): void => {
        editor.setState(state);
      };
      view = new View({ post, remember }, data.ref, data.texts, isSame ? former : undefined);
      view.start(data.module);
      break;
    }
    case 'facts':
      view?.take(data.facts);
      break;
    case 'picture':
      view?.show(JSON.parse(data.picture) as Picture);
      break;
    case 'message':
      view?.say(data.text);
      break;
  }
});
post({ kind: 'ready' });
