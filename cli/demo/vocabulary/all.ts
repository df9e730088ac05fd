/** The categories of the shop, in the order in which its catalogue is numbered. */
import { audio } from './audio.js';
import { bath } from './bath.js';
import { bedroom } from './bedroom.js';
import type { CategoryVocabulary } from './category.js';
import { coffee } from './coffee.js';
import { cycling } from './cycling.js';
import { fitness } from './fitness.js';
import { garden } from './garden.js';
import { kitchen } from './kitchen.js';
import { lighting } from './lighting.js';
import { outdoor } from './outdoor.js';
import { pets } from './pets.js';
import { stationery } from './stationery.js';
import { toys } from './toys.js';
import { workshop } from './workshop.js';

export const categories: readonly CategoryVocabulary[] = [
  garden,
  kitchen,
  coffee,
  outdoor,
  cycling,
  lighting,
  bedroom,
  bath,
  stationery,
  toys,
  pets,
  audio,
  fitness,
  workshop,
];
