/** A question before an action that affects everyone. */
import { byId, setText } from './page.js';

let last = Promise.resolve();

/**
 * Resolves with true on yes; Escape and Cancel mean no. `what` asks, `why` says what will happen, `yes` is on the
 * button. One question at a time: the close event of a dialog arrives a moment after it is gone.
 */
export function confirmed(question) {
  last = last.then(() => ask(question));
  return last;
}

function ask({ what, why, yes }) {
  const dialog = byId('confirm-dialog');
  setText(byId('confirm-title'), what);
  setText(byId('confirm-why'), why);
  setText(byId('confirm-yes'), yes);
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
