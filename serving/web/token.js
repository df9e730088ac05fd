/** Asks for a token when the server requires one. */
import { onTokenNeeded } from './api.js';
import { byId, setText } from './page.js';

export function startTokens() {
  const dialog = byId('token-dialog');
  const input = byId('token');
  // Nothing can be shown without a token: Escape must not leave an empty page behind.
  dialog.addEventListener('cancel', (event) => event.preventDefault());
  onTokenNeeded(
    (wasRefused) =>
      new Promise((resolve) => {
        if (wasRefused)
          setText(byId('token-why'), 'The server does not know this token. Check it, or ask the server’s operator.');
        byId('token-form').addEventListener(
          'submit',
          () => {
            const given = input.value.trim();
            input.value = '';
            resolve(given);
          },
          { once: true },
        );
        dialog.showModal();
      }),
  );
}
