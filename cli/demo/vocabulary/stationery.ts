import { category } from './category.js';

export const stationery = category({
  id: 'stationery',
  season: { peakDay: 245, swing: 0.45 },
  styles: {
    Brass: [
      'Raw brass takes on the marks of its owner and can be polished back in a minute.',
      'Turned brass gives it a calm, low weight.',
    ],
    Linen: [
      'The cover is bookbinding linen, grey as the North Sea and just as hard to impress.',
      'Woven linen over board wears at the corners last of all.',
    ],
    Walnut: [
      'Oiled walnut has a fine grain that hides ink better than any other wood.',
      'The walnut is milled from one piece, so the grain runs through.',
    ],
    Recycled: [
      'The paper pulp behind it was newspaper once; a few specks of headlines remain.',
      'Made wholly from recycled fibre, with soy ink and no coating.',
    ],
    Cobalt: [
      'The cobalt blue is mixed for us and easy to find on a crowded desk.',
      'Cobalt from edge to edge, the colour of first-class stamps.',
    ],
    Leather: [
      'Bridle leather, burnished at the edges, that smells of workshops.',
      'The leather is stiff at first and yours after a month.',
    ],
  },
  items: [
    {
      name: 'Notebook',
      price: [8, 32],
      styles: ['Linen', 'Recycled', 'Cobalt', 'Leather'],
      sizes: ['dotted', 'ruled', 'plain'],
      openings: [
        'Lies flat on any page; 192 of them, {size}, in paper that fountain pens approve of.',
        'A {size} notebook with numbered pages and an index at the front.',
      ],
    },
    {
      name: 'Fountain Pen',
      price: [29, 119],
      styles: ['Brass', 'Walnut', 'Cobalt', 'Recycled'],
      openings: [
        'Starts at the first stroke, also after a fortnight in the drawer.',
        'The steel nib is tuned by hand and forgives a heavy grip.',
      ],
    },
    {
      name: 'Pencil Set',
      price: [9, 29],
      styles: ['Walnut', 'Cobalt', 'Recycled', 'Brass'],
      openings: [
        'Twelve pencils from 4H to 6B, sharpened and ready.',
        'Leads that do not break and bodies that do not roll off the table.',
      ],
    },
    {
      name: 'Desk Tray',
      price: [18, 69],
      styles: ['Walnut', 'Brass', 'Leather', 'Linen', 'Recycled'],
      openings: [
        'Gives keys, clips and good intentions a place to land.',
        'A low tray with three compartments that no longer slide around.',
      ],
    },
    {
      name: 'Letter Set',
      price: [12, 35],
      styles: ['Linen', 'Recycled', 'Cobalt'],
      openings: [
        'Twenty sheets and twenty lined envelopes for things that deserve a stamp.',
        'Writing paper with a deckle edge and envelopes that close without glue on the tongue.',
      ],
    },
    {
      name: 'Ruler',
      price: [6, 28],
      styles: ['Brass', 'Walnut', 'Cobalt', 'Recycled'],
      openings: [
        'Thirty centimetres, engraved so deep that the marks outlive the table.',
        'A ruler with a raised edge that keeps ink from creeping under.',
      ],
    },
    {
      name: 'Pen Roll',
      price: [18, 55],
      styles: ['Leather', 'Linen', 'Recycled', 'Cobalt'],
      openings: [
        'Six pens travel side by side and never scratch each other.',
        'Rolls up around a week of drawing and ties with a single strap.',
      ],
    },
    {
      name: 'Wall Calendar',
      price: [14, 32],
      styles: ['Recycled', 'Linen', 'Cobalt'],
      openings: [
        'Twelve broad sheets with room for dentists, birthdays and one good idea a day.',
        'The whole year at a glance, in type that can be read from the doorway.',
      ],
    },
    {
      name: 'Bookend Pair',
      price: [24, 79],
      styles: ['Brass', 'Walnut', 'Cobalt', 'Leather'],
      openings: [
        'Holds up a metre of paperbacks without giving way.',
        'Two quiet angles with felt below and weight where it is needed.',
      ],
    },
    {
      name: 'Document Folder',
      price: [12, 59],
      styles: ['Leather', 'Linen', 'Recycled', 'Cobalt'],
      openings: [
        'Takes a contract, a sketch and a spare shirt button to the meeting.',
        'An elastic at the corner, a pocket for cards and nothing else to go wrong.',
      ],
    },
    {
      name: 'Tape Dispenser',
      price: [16, 49],
      styles: ['Brass', 'Walnut', 'Cobalt', 'Recycled'],
      openings: ['Heavy enough to be used with one hand.', 'Cuts straight, every time, and looks as if it meant to.'],
    },
  ],
  closings: [
    'Refills and replacements stay in the range.',
    'Designed on paper first, of course.',
    'It makes a better present than a voucher.',
    'Fits the formats that post offices like.',
    'Made in a workshop with eleven people and one dog.',
    'Wrapped in tissue, sealed with a sticker.',
    'Left-handers were asked first.',
    'There is no app for it, and none is planned.',
  ],
});
