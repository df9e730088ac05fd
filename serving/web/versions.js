/** Published versions: the current one, and switching between them. */
import { call, poll } from './api.js';
import { confirmed } from './confirm.js';
import { count, dateTime } from './format.js';
import { isLexical, LEXICAL } from './found.js';
import { byId, element, setText } from './page.js';
import { startRuns } from './runs.js';

const INTERVAL_MS = 3_000;
/** A switch is answered once readers see it. */
const SWITCH_MS_MAX = 20_000;
const SHOWN = 8;
const STATES = { verified: 'ready', retired: 'retired', failed: 'failed', staged: 'being staged' };

/** `onSwitch(artefact)`: another version of it has become current. */
export function startVersions({ onSwitch }) {
  const list = byId('artefacts');
  const body = byId('version-rows');
  const outcome = byId('versions-outcome');
  let chosen = null;
  let current = null;
  let drawn = '';
  let offered = '';
  let may = null;
  let busy = false;
  /** Counts switches: an answer from before a switch is not shown after it. */
  let switches = 0;
  const runs = startRuns({ onEnd: () => refresh() });
  const refresh = poll(update, INTERVAL_MS);
  list.addEventListener('click', ({ target }) => {
    const name = target.closest('button')?.dataset.artefact;
    if (name === undefined || name === chosen) return;
    chosen = name;
    current = null;
    drawn = '';
    setText(outcome, '');
    refresh();
  });
  body.addEventListener('click', ({ target }) => {
    const button = target.closest('button');
    if (button !== null) act(button.dataset.act, Number(button.dataset.version));
  });

  async function update() {
    const [all, access] = await Promise.all([
      call('/v1/versions').catch(() => null),
      may ?? call('/v1/access').catch(() => null),
    ]);
    byId('versions').classList.toggle('stale', all === null);
    if (all === null || access === null) return;
    may = access;
    chosen ??= (all.artefacts.find(({ job }) => job !== null) ?? all.artefacts[0])?.artefact ?? null;
    offer(all.artefacts);
    const short = all.artefacts.find(({ artefact }) => artefact === chosen);
    if (short === undefined) return;
    const allowed = may.may.includes('operate');
    byId('versions-why').hidden = allowed;
    setText(byId('versions-why'), `Your token has the role ${may.role}: switching and making versions needs operator.`);
    runs.offer(short.job, allowed);
    const asked = chosen;
    const before = switches;
    const answer = await call(`/v1/versions/${asked}`).catch(() => null);
    if (answer !== null && asked === chosen && before === switches) show(answer, allowed);
  }

  function offer(artefacts) {
    const text = JSON.stringify([artefacts, chosen]);
    if (text === offered) return;
    offered = text;
    const focused = document.activeElement?.dataset?.artefact;
    list.replaceChildren(...artefacts.map((one) => artefactButton(one, one.artefact === chosen)));
    if (focused) list.querySelector(`[data-artefact="${focused}"]`)?.focus({ preventScroll: true });
  }

  function show(answer, allowed) {
    if (current !== null && answer.current !== current) onSwitch(answer.artefact);
    current = answer.current;
    const text = JSON.stringify([answer, allowed]);
    if (text === drawn) return;
    drawn = text;
    const focused = document.activeElement;
    const { act: what, version } = body.contains(focused) ? focused.dataset : {};
    const shown = answer.versions.filter(({ version }, index) => index < SHOWN || version === answer.current);
    body.replaceChildren(...shown.map((entry) => versionRow(entry, answer, allowed)));
    if (what) body.querySelector(`[data-act="${what}"][data-version="${version}"]`)?.focus({ preventScroll: true });
    byId('versions-table').hidden = answer.versions.length === 0;
    byId('versions-empty').hidden = answer.versions.length > 0;
    const more = answer.versions.length - shown.length;
    setText(byId('versions-more'), more > 0 ? `${count(more)} older ones are listed by freshet versions list.` : '');
  }

  async function act(what, version) {
    const artefact = chosen;
    const { question, path, payload } = DEEDS[what](artefact, version);
    if (busy || !(await confirmed(question))) return;
    busy = true;
    setText(outcome, 'Switching …');
    const began = performance.now();
    try {
      const before = current;
      const answer = await call(`/v1/versions/${artefact}/${path}`, {
        method: 'POST',
        body: payload,
        timeoutMs: SWITCH_MS_MAX,
      });
      switches++;
      if (artefact === chosen) show(answer, true);
      if (answer.current !== before) onSwitch(artefact);
      setText(outcome, told(answer, before, Math.round(performance.now() - began)));
    } catch (error) {
      setText(outcome, error.message);
    } finally {
      busy = false;
      refresh();
    }
  }
}

const DEEDS = {
  promote: (artefact, version) => ({
    question: {
      what: `Make version ${version} of ${artefact} current?`,
      why: 'Every reader sees all of it at once. You can go back the same way.',
      yes: 'Promote',
    },
    path: 'promote',
    payload: { version },
  }),
  rollback: (artefact, version) => ({
    question: {
      what: `Roll ${artefact} back?`,
      why: `Readers go from version ${version} back to the one that was current before it. Nothing is built, nothing is lost.`,
      yes: 'Roll back',
    },
    path: 'rollback',
    payload: { reason: 'from the page' },
  }),
  pin: (artefact, version) => ({
    question: {
      what: `Pin version ${version} of ${artefact}?`,
      why: 'New versions are still made, but none becomes current until you unpin this one.',
      yes: 'Pin',
    },
    path: 'pin',
    payload: { version },
  }),
  unpin: (artefact, version) => ({
    question: {
      what: `Unpin version ${version} of ${artefact}?`,
      why: 'It stays current until the next version is published.',
      yes: 'Unpin',
    },
    path: 'pin',
    payload: { version: null },
  }),
};

function told({ artefact, current, pinned }, before, tookMs) {
  const stays = current === before;
  const moved = stays
    ? `Version ${current} of ${artefact} stays current`
    : `Version ${current} of ${artefact} is current`;
  const after = stays ? '' : `, ${count(tookMs)} ms after the click`;
  return `${moved}${after}${pinned === null ? '.' : ', and pinned.'}`;
}

function artefactButton({ artefact, current, pinned, activated_at }, isChosen) {
  const button = element(
    'button',
    'artefact',
    element('span', 'name', artefact),
    element(
      'span',
      'now',
      current === null ? 'no version yet' : `version ${current}${pinned === null ? '' : ', pinned'}`,
    ),
    element('span', 'since', activated_at === null ? '' : `since ${dateTime(activated_at)}`),
  );
  button.type = 'button';
  button.dataset.artefact = artefact;
  button.setAttribute('aria-pressed', String(isChosen));
  return element('li', '', button);
}

function versionRow(entry, { current, pinned, versions }, allowed) {
  const { version, state, created_at, manifest, reaped, reason } = entry;
  const isCurrent = version === current;
  const chips = [chip(isCurrent ? 'current' : state, isCurrent ? 'current' : (STATES[state] ?? state))];
  if (version === pinned) chips.push(chip('pinned', 'pinned'));
  if (reaped) chips.push(chip('gone', 'data gone'));
  const made = element('time', '', dateTime(created_at));
  made.dateTime = created_at;
  const usable = !reaped && (state === 'verified' || state === 'retired' || isCurrent);
  const earlier = versions.some((one) => one.version !== version && one.activated_at !== null && !one.reaped);
  const why = allowed ? null : 'Your token may not switch versions.';
  const buttons = isCurrent
    ? [
        button(
          'rollback',
          'Roll back',
          version,
          why ?? (earlier ? null : 'There is no earlier version to go back to.'),
        ),
        version === pinned ? button('unpin', 'Unpin', version, why) : button('pin', 'Pin', version, why),
      ]
    : usable
      ? [button('promote', 'Promote', version, why), button('pin', 'Pin', version, why)]
      : [];
  const head = element('th', 'number', String(version));
  head.scope = 'row';
  const row = element(
    'tr',
    isCurrent ? 'version is-current' : 'version',
    head,
    element('td', 'chips', ...chips),
    element('td', 'made', made),
    element(
      'td',
      'counts',
      countsOf(manifest),
      qualityOf(manifest),
      ' ',
      checksOf(manifest),
      warningOf(manifest),
      reasonOf(state, reason),
    ),
    element('td', 'acts', ...buttons),
  );
  return row;
}

function chip(kind, text) {
  const made = element('span', 'chip', text);
  made.dataset.kind = kind;
  return made;
}

function button(act, text, version, why) {
  const made = element('button', 'small', text, element('span', 'visually-hidden', ` version ${version}`));
  made.type = 'button';
  made.dataset.act = act;
  made.dataset.version = String(version);
  made.disabled = why !== null;
  if (why !== null) made.title = why;
  return made;
}

/** Why it failed or was replaced. */
function reasonOf(state, reason) {
  return reason === null ? '' : element('p', 'faint', `${state === 'failed' ? 'Failed' : 'Replaced'}: ${reason}`);
}

function countsOf({ counts = {} }) {
  const text = Object.entries(counts)
    .filter(([, value]) => value !== 0)
    .map(([what, value]) => `${count(value)} ${what.replaceAll('_', ' ')}`)
    .join(', ');
  return element('span', '', text);
}

/** The quality of a model or an index, by its own figures. */
function qualityOf({ settings = {}, figures = {} }) {
  const { recall_at_10: recall, evaluation } = figures;
  const said = [];
  if (typeof settings.model === 'string') said.push(`model ${settings.model}`);
  if (typeof recall === 'number') said.push(`recall@10 ${recall.toFixed(3)} against exact search`);
  if (evaluation?.model) {
    const { model, popularity } = evaluation;
    said.push(`NDCG@10 ${model.ndcg_at_10.toFixed(3)}, popularity alone ${popularity.ndcg_at_10.toFixed(3)}`);
    said.push(`recall@20 ${model.recall_at_20.toFixed(3)}, popularity alone ${popularity.recall_at_20.toFixed(3)}`);
  }
  return said.length === 0 ? '' : element('ul', 'quality', ...said.map((text) => element('li', '', text)));
}

/** The model-free replacement must not be mistaken for a model. */
function warningOf({ settings = {} }) {
  return isLexical(settings) ? element('p', 'loud', LEXICAL) : '';
}

/** How many checks passed; their sentences are behind it. */
function checksOf({ checks = [] }) {
  if (checks.length === 0) return element('span', 'faint', '');
  const passed = checks.filter((check) => check.passed).length;
  const all = passed === checks.length;
  const made = element(
    'details',
    'checks',
    element('summary', '', all ? `${passed} checks passed` : `${passed} of ${checks.length} checks passed`),
    element('ul', '', ...checks.map((check) => element('li', check.passed ? '' : 'failed', check.sentence))),
  );
  return made;
}
