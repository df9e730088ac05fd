/** The languages of the shop's documents. */
import { dutch } from './dutch.js';
import { english } from './english.js';
import { finnish } from './finnish.js';
import { french } from './french.js';
import { german } from './german.js';
import { italian } from './italian.js';
import type { Language } from './language.js';
import { polish } from './polish.js';
import { portuguese } from './portuguese.js';
import { spanish } from './spanish.js';
import { swedish } from './swedish.js';

export const languages: readonly Language[] = [
  english,
  german,
  spanish,
  french,
  italian,
  portuguese,
  dutch,
  swedish,
  polish,
  finnish,
];
