import { category } from './category.js';

export const toys = category({
  id: 'toys',
  season: { peakDay: 342, swing: 0.75 },
  styles: {
    Maple: [
      'Hard maple survives stairs, teeth and little brothers.',
      'The maple is sanded to silk and left without varnish.',
    ],
    Rainbow: [
      'Six colours, water-based and fast, taken from a real rainbow and counted twice.',
      'The rainbow stain lets the grain shine through.',
    ],
    Woollen: [
      'Felted wool feels warm and makes no noise when it falls.',
      'The wool is dyed with plants and stuffed with more of itself.',
    ],
    Cork: ['Cork is light, springy and pleasantly odd to the touch.', 'Pressed cork floats, which doubles its uses.'],
    Tin: [
      'Lithographed tin with rolled edges, as cheerful as it was a century ago.',
      'The tin is printed in four colours and has not a sharp corner anywhere.',
    ],
    Cotton: [
      'Organic cotton, sewn twice at every seam that will be pulled.',
      'The cotton goes through the wash at sixty degrees and comes out smiling.',
    ],
  },
  items: [
    {
      name: 'Building Blocks',
      price: [19, 89],
      styles: ['Maple', 'Rainbow', 'Cork'],
      sizes: ['30 pieces', '60 pieces', '100 pieces'],
      openings: [
        'A sack of {size} that has been a castle, a zoo and a railway station by lunch.',
        'Cut so exactly that {size} stand taller than whoever built them.',
      ],
    },
    {
      name: 'Pull-Along Duck',
      price: [16, 45],
      styles: ['Maple', 'Rainbow', 'Woollen', 'Tin', 'Cork'],
      openings: [
        'Waddles behind its owner and lays no claim to the road.',
        'Rolls over carpets, quacks on tiles and never tires first.',
      ],
    },
    {
      name: 'Puzzle',
      price: [12, 39],
      styles: ['Maple', 'Rainbow', 'Cork', 'Tin'],
      sizes: ['12 pieces', '24 pieces', '48 pieces'],
      openings: [
        'A market square in {size}, with something new to find in each of them.',
        'Hard enough to be proud of: {size}, no two alike.',
      ],
    },
    {
      name: 'Hand Puppet',
      price: [15, 42],
      styles: ['Woollen', 'Cotton', 'Rainbow'],
      openings: [
        'Says what its player would never dare to.',
        'Opens its mouth, waves both arms and fits hands from three years on.',
      ],
    },
    {
      name: 'Marble Run',
      price: [29, 119],
      styles: ['Maple', 'Rainbow', 'Cork', 'Tin'],
      openings: [
        'Starts over every time and is never the same twice.',
        'Ramps, funnels and a small bell at the bottom that has to be earned.',
      ],
    },
    {
      name: 'Stacking Cups',
      price: [9, 32],
      styles: ['Rainbow', 'Tin', 'Cork', 'Maple'],
      openings: [
        'Eight cups become a tower, then a noise, then a tower again.',
        'Numbers on the bottom and animals on the side, for stacking, pouring and hiding things.',
      ],
    },
    {
      name: 'Memory Game',
      price: [12, 34],
      styles: ['Maple', 'Cork', 'Cotton', 'Tin'],
      openings: [
        'Thirty-two tiles, sixteen pairs, and grown-ups lose more often than they like.',
        'Pictures of garden birds, turned over two at a time.',
      ],
    },
    {
      name: 'Rag Doll',
      price: [22, 59],
      styles: ['Cotton', 'Woollen', 'Rainbow'],
      openings: [
        'Comes with a coat, a scarf and an expression that suits every mood.',
        'Soft arms for holding on to and a pocket for secrets.',
      ],
    },
    {
      name: 'Wind-Up Boat',
      price: [14, 39],
      styles: ['Tin', 'Cork', 'Maple', 'Rainbow'],
      openings: [
        'Crosses a bathtub on one winding and a pond on three.',
        'A steamer with a real rudder, for captains of the shallow end.',
      ],
    },
    {
      name: 'Kite',
      price: [18, 55],
      styles: ['Cotton', 'Rainbow'],
      openings: [
        'Climbs in a light breeze and comes down in one piece.',
        'A delta with a long tail that teaches patience first and flying second.',
      ],
    },
    {
      name: 'Toy Kitchen Set',
      price: [24, 79],
      styles: ['Maple', 'Tin', 'Rainbow', 'Cotton', 'Woollen'],
      openings: [
        'Everything a restaurant needs, except the bill.',
        'Two pans, four vegetables and one fried egg, ready to be served cold.',
      ],
    },
    {
      name: 'Train',
      price: [22, 95],
      styles: ['Maple', 'Rainbow', 'Tin', 'Cork'],
      openings: [
        'An engine and three wagons that take curves, bridges and sofa cushions.',
        'Couples with magnets and runs on every common wooden track.',
      ],
    },
  ],
  closings: [
    'Tested by a kindergarten for a whole winter.',
    'From three years on, with no upper limit.',
    'It needs no batteries.',
    'Lost pieces can be ordered one at a time.',
    'The box is part of the game.',
    'Safe to chew on, should it come to that.',
    'Meant to be handed down.',
    'The rules are short, and breaking them is allowed.',
  ],
});
