import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { hasCode, messageOf } from '../../../../runtime/process/errors.js';
import { flag, folder, integer, number, url } from '../../../../runtime/process/setting-kinds.js';
import { declareSettings, type Environment, mergeSettings } from '../../../../runtime/process/settings.js';

const shop = declareSettings(
  {
    SHOP_URL: url(['http', 'https']).optional(),
    SHOP_PASSWORD: z.string().optional(),
    SHOP_FILE: z.string().optional(),
    SHOP_OPEN: flag.default(false),
  },
  {
    secrets: ['SHOP_PASSWORD'],
    needs: [['SHOP_PASSWORD', 'SHOP_URL']],
    alternatives: [['SHOP_PASSWORD', 'SHOP_FILE']],
  },
);
const shelf = declareSettings({
  SHELF_FOLDER: folder.default(() => folder.parse('shelf')),
  SHELF_BOARDS: integer(1, 9).default(3),
  SHELF_DEPTH: number(0, 1).default(0.5),
});
const schema = mergeSettings([shop, shelf]);

/** The sentence that stops the start. */
function complaint(environment: Environment): string {
  try {
    schema.load(environment);
  } catch (error) {
    assert.ok(hasCode(error, 'settings'), String(error));
    return messageOf(error);
  }
  return assert.fail(`accepted: ${JSON.stringify(environment)}`);
}

describe('I10: declared settings', () => {
  it('are merged, each with its default and of its kind', () => {
    assert.deepEqual(schema.load({ SHOP_OPEN: 'true', SHELF_DEPTH: '0.25', SHELF_BOARDS: '' }), {
      SHOP_OPEN: true,
      SHELF_FOLDER: resolve('shelf'),
      SHELF_BOARDS: 3,
      SHELF_DEPTH: 0.25,
    });
    assert.equal(schema.load({ SHELF_FOLDER: 'here' }).SHELF_FOLDER, resolve('here'));
    assert.deepEqual(schema.names, [
      'SHOP_URL',
      'SHOP_PASSWORD',
      'SHOP_FILE',
      'SHOP_OPEN',
      'SHELF_FOLDER',
      'SHELF_BOARDS',
      'SHELF_DEPTH',
    ]);
  });

  it('are refused together when one name is declared twice', () => {
    const again = declareSettings({ SHELF_BOARDS: integer(1, 2).default(1) });
    assert.throws(() => mergeSettings([shop, shelf, again]), /The setting SHELF_BOARDS is declared twice/);
  });

  it('are all checked before the first complaint', () => {
    const message = complaint({ SHELF_BOARDS: '10', SHOP_OPEN: 'yes', FRESHET_COLOUR: 'red' });
    for (const name of ['SHELF_BOARDS', 'SHOP_OPEN', 'FRESHET_COLOUR']) assert.ok(message.includes(name), message);
  });

  it('are recognised when they are misspelt, with the prefix as well', () => {
    for (const name of ['SHELF_BORADS', 'SHELF_BOARD', 'shelf_boards', 'SHELFBOARDS', 'FRESHET_SHELF_BOARDS'])
      assert.match(complaint({ [name]: '1' }), /did you mean SHELF_BOARDS\?/);
    assert.equal(schema.load({ SHELF_SERVICE_HOST: 'x', SHOP: 'x' }).SHELF_BOARDS, 3);
  });

  it('are recognised without their unit, and with other underscores', () => {
    const settings = mergeSettings([
      declareSettings({ COMMIT_INTERVAL_MS: integer(1, 9).default(1), HALF_LIFE_DAYS: integer(1, 9).default(1) }),
    ]);
    for (const [name, meant] of [
      ['COMMIT_INTERVAL', 'COMMIT_INTERVAL_MS'],
      ['COMMITINTERVAL', 'COMMIT_INTERVAL_MS'],
      ['HALFLIFE', 'HALF_LIFE_DAYS'],
      ['HALFLIFE_DAYS', 'HALF_LIFE_DAYS'],
    ] as const)
      assert.throws(
        () => settings.load({ [name]: '1' }),
        new RegExp(`${name} is not a setting; did you mean ${meant}`),
      );
    settings.load({ COMMIT: '1', COMMIT_INTERVAL_PORT: '1', HALF: '1' });
  });

  it('need the others that they mean nothing without, and exclude their alternatives', () => {
    assert.match(complaint({ SHOP_PASSWORD: 'x' }), /SHOP_PASSWORD is set, but SHOP_URL, which it needs, is not\./);
    assert.match(
      complaint({ SHOP_URL: 'http://shop', SHOP_PASSWORD: 'x', SHOP_FILE: 'y' }),
      /SHOP_PASSWORD and SHOP_FILE are both set: give one of them\./,
    );
  });

  it('are shown unless they are secrets', () => {
    const strict = mergeSettings([
      declareSettings({ SHOP_PIN: integer(0, 9), SHOP_NUMBER: integer(0, 9) }, { secrets: ['SHOP_PIN'] }),
    ]);
    assert.throws(() => strict.load({ SHOP_PIN: '77', SHOP_NUMBER: '88' }), /SHOP_PIN: [^7]*\n.*SHOP_NUMBER: .*"88"/);
    assert.deepEqual(schema.secrets, ['SHOP_PASSWORD']);
  });
});
