/** Assembles the page. Each part polls for itself; none waits for another. */

import { startActing } from './act.js';
import { call } from './api.js';
import { startFound } from './found.js';
import { startOverview } from './overview.js';
import { byId, setText } from './page.js';
import { startRanking } from './ranking.js';
import { startTaste } from './taste.js';
import { startTokens } from './token.js';
import { startVersions } from './versions.js';
import { startWords } from './words.js';

startTokens();
startOverview({
  onDemo(isDemo) {
    document.body.classList.toggle('demo', isDemo);
    if (isDemo) taste.suggest('u-000042');
  },
});
call('/v1/access')
  .then(({ may }) => document.body.classList.toggle('may-write', may.includes('write')))
  .catch(() => undefined);
const found = startFound({ onChoose: (id) => acting.choose(id) });
const taste = startTaste({
  onUser: (user) => {
    setText(byId('act-user'), user);
    found.forUser(user);
  },
});
const ranking = startRanking({
  onChoose: ({ product_id }) => acting.choose(product_id),
  onBuy: ({ product_id }) => acting.buy(product_id),
  onItems: (items) => {
    acting.offer(items);
    acting.watchFirst();
  },
});
const acting = startActing({
  user: taste.user,
  items: ranking.items,
  course: ranking.course,
  onWatch: (id, title) => {
    ranking.watch(id);
    found.likeProduct(id, title);
  },
  onReadable: (id) => {
    ranking.flash(id);
    ranking.refresh();
    taste.refresh();
    found.refresh();
  },
});
const words = startWords();
startVersions({
  onSwitch: () => {
    words.refresh();
    found.versionChanged();
  },
});
