import { category } from './category.js';

export const bath = category({
  id: 'bath',
  season: { peakDay: 350, swing: 0.15 },
  styles: {
    Teak: [
      'Teak is full of its own oil and has been standing on ship decks for centuries.',
      'The teak comes with papers that lead back to the plantation.',
    ],
    Waffle: [
      'The waffle weave drinks quickly and dries overnight, even in a room without a window.',
      'Thousands of little squares make it light, soft and thirsty.',
    ],
    Terry: [
      'Heavy terry of 600 grams, with long loops that do not snag.',
      'The terry is woven from combed cotton and gets fluffier for the first ten washes.',
    ],
    Marble: [
      'Each piece of marble carries veins of its own.',
      'The marble is honed rather than polished and feels like river stone.',
    ],
    Chrome: [
      'Brass under thick chrome makes it heavy, bright and safe from rust.',
      'The chrome wipes clean with a dry cloth.',
    ],
    Bamboo: [
      'Bamboo grows a metre a day and needs neither ploughing nor spray.',
      'Bamboo is light in the hand and happy in steam.',
    ],
    Sage: [
      'It is scented with sage and a little cedar, and gone from the air within the hour.',
      'Sage oil comes from a single farm and is used sparingly.',
    ],
  },
  items: [
    {
      name: 'Bath Towel',
      price: [19, 59],
      styles: ['Waffle', 'Terry', 'Bamboo'],
      sizes: ['70 by 140 cm', '80 by 150 cm', '100 by 150 cm'],
      openings: [
        'Wraps around with some to spare: {size} after the first wash.',
        'A towel of {size} with a loop on the short side and another on the long.',
      ],
    },
    {
      name: 'Bath Mat',
      price: [19, 69],
      styles: ['Teak', 'Waffle', 'Terry', 'Bamboo'],
      openings: [
        'Waits beside the tub, dry again before the next one in the queue.',
        'Stays flat, does not slide and is kind to cold feet.',
      ],
    },
    {
      name: 'Soap Dish',
      price: [9, 35],
      styles: ['Teak', 'Marble', 'Chrome', 'Bamboo'],
      openings: [
        'Lifts the bar out of its own puddle, so it lasts twice as long.',
        'Drains to one side and rinses clean under the tap.',
      ],
    },
    {
      name: 'Bathrobe',
      price: [59, 149],
      styles: ['Waffle', 'Terry', 'Bamboo'],
      openings: [
        'Deep pockets, a shawl collar and a belt that cannot be lost.',
        'Long enough for tall people and for slow Sundays.',
      ],
    },
    {
      name: 'Shelf',
      price: [35, 119],
      styles: ['Teak', 'Marble', 'Chrome', 'Bamboo'],
      sizes: ['40 cm', '60 cm', '75 cm'],
      openings: [
        'Puts {size} of order above the basin.',
        'A shelf of {size} with a low rail, so bottles stay up during the spin cycle next door.',
      ],
    },
    {
      name: 'Body Brush',
      price: [12, 39],
      styles: ['Teak', 'Bamboo'],
      openings: [
        'Reaches the middle of the back, where nothing else does.',
        'Firm bristles for dry mornings, with a handle that comes off for travelling.',
      ],
    },
    {
      name: 'Tumbler',
      price: [9, 32],
      styles: ['Marble', 'Chrome', 'Bamboo', 'Teak'],
      openings: ['Holds two brushes upright and lets them dry.', 'Wide at the bottom, so it survives a sleepy hand.'],
    },
    {
      name: 'Soap Bar',
      price: [5, 16],
      styles: ['Sage'],
      openings: [
        'Cut from a long block and left to ripen for six weeks.',
        'Makes a small, dense foam and leaves no film behind.',
      ],
    },
    {
      name: 'Laundry Basket',
      price: [39, 109],
      styles: ['Bamboo', 'Teak', 'Chrome'],
      sizes: ['45 litres', '60 litres', '80 litres'],
      openings: [
        'Hides {size} of washing and carries it to the machine.',
        'A basket for {size} with a washable lining and a lid that closes softly.',
      ],
    },
    {
      name: 'Mirror',
      price: [29, 129],
      styles: ['Teak', 'Chrome', 'Bamboo', 'Marble'],
      openings: [
        'Turns on its axis, plain on one side and five times closer on the other.',
        'Shows the truth in good light and folds away when that is enough.',
      ],
    },
    {
      name: 'Diffuser',
      price: [19, 69],
      styles: ['Sage', 'Marble', 'Bamboo', 'Teak'],
      openings: [
        'A few sticks, a small bottle, and the room smells of elsewhere for two months.',
        'Sends up a cool mist for three hours and then switches itself off.',
      ],
    },
  ],
  closings: [
    'It minds neither steam nor splashes.',
    'Made for bathrooms that are used by more than one.',
    'The set grows piece by piece whenever you like.',
    'Comes wrapped in paper and tied with string.',
    'It dries quickly, and everything in a bathroom should.',
    'Our oldest sample is nine years old and still in use.',
    'Plain enough to go with any tile.',
    'A small thing that is noticed every morning.',
  ],
});
