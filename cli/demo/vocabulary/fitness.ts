import { category } from './category.js';

export const fitness = category({
  id: 'fitness',
  season: { peakDay: 12, swing: 0.55 },
  styles: {
    Cork: [
      'Cork grips better the damper it gets.',
      'The cork is harvested without felling a tree and smells faintly of forest.',
    ],
    'Natural Rubber': [
      'Natural rubber clings to the floor and springs back for years.',
      'The rubber is tapped, not drilled for, and free of latex powder.',
    ],
    Oak: [
      'Solid oak, rounded and oiled, is kind to bare hands.',
      'The oak is too handsome to be hidden behind a door.',
    ],
    Iron: [
      'Cast iron with a powder coat takes chalk and ignores sweat.',
      'One casting, no joints, nothing to come loose.',
    ],
    Cotton: [
      'Tightly woven cotton, thick where it rubs and soft where it touches.',
      'The cotton can be washed hot, which it will need.',
    ],
    Slate: [
      'The slate grey edition is the plain one that everybody keeps.',
      'In slate grey it looks at home next to a bookcase.',
    ],
  },
  items: [
    {
      name: 'Yoga Mat',
      price: [29, 109],
      styles: ['Cork', 'Natural Rubber', 'Cotton', 'Slate'],
      sizes: ['3 mm', '4.5 mm', '6 mm'],
      openings: [
        'Unrolls flat at once and cushions knees with {size}.',
        'A mat of {size} with a fine line down the middle, for hands that like symmetry.',
      ],
    },
    {
      name: 'Kettlebell',
      price: [24, 99],
      styles: ['Iron', 'Slate', 'Natural Rubber'],
      sizes: ['8 kg', '12 kg', '16 kg'],
      openings: [
        'Swings {size} in a clean arc and stands flat afterwards.',
        'The handle has room for two hands; the bell weighs {size}, not a gram less.',
      ],
    },
    {
      name: 'Foam Roller',
      price: [19, 55],
      styles: ['Cork', 'Natural Rubber', 'Slate'],
      openings: [
        'Finds the knot between the shoulder blades and talks it over.',
        'Firm, with shallow grooves, and exactly as wide as a back.',
      ],
    },
    {
      name: 'Skipping Rope',
      price: [9, 35],
      styles: ['Cotton', 'Oak', 'Natural Rubber', 'Slate'],
      openings: [
        'Turns on ball bearings and adjusts to any height with one knot.',
        'Ten minutes with it count for half an hour without.',
      ],
    },
    {
      name: 'Resistance Band Set',
      price: [14, 45],
      styles: ['Natural Rubber', 'Cotton', 'Slate'],
      openings: ['Five strengths, from warm-up to regret.', 'A whole gym that weighs less than a pair of shoes.'],
    },
    {
      name: 'Balance Board',
      price: [39, 119],
      styles: ['Oak', 'Cork', 'Slate', 'Natural Rubber'],
      openings: [
        'Trains ankles, patience and the family sense of humour.',
        'Tilts in every direction and stops just in time.',
      ],
    },
    {
      name: 'Dumbbell Pair',
      price: [19, 89],
      styles: ['Iron', 'Oak', 'Slate', 'Natural Rubber'],
      sizes: ['2 kg', '4 kg', '6 kg'],
      openings: [
        'Two times {size}, six-sided, so they stay where they are left.',
        'A pair of {size} with a grip that fills the palm.',
      ],
    },
    {
      name: 'Yoga Block Pair',
      price: [15, 45],
      styles: ['Cork', 'Oak', 'Slate'],
      openings: [
        'Brings the floor up to where the fingers are.',
        'Two bricks with rounded edges that carry a whole person without a wobble.',
      ],
    },
    {
      name: 'Gym Bag',
      price: [29, 89],
      styles: ['Cotton', 'Slate', 'Natural Rubber'],
      sizes: ['20 litres', '30 litres', '40 litres'],
      openings: [
        'Shoes below, clothes above, {size} in all.',
        'A bag of {size} with a pocket for what is wet and another for what must not be.',
      ],
    },
    {
      name: 'Wall Bar',
      price: [79, 249],
      styles: ['Oak', 'Iron', 'Slate'],
      openings: [
        'Hangs grown-ups from the hands and children from the knees.',
        'Rungs for stretching, pulling and drying the odd shirt.',
      ],
    },
    {
      name: 'Massage Ball',
      price: [6, 22],
      styles: ['Cork', 'Natural Rubber', 'Oak', 'Slate'],
      openings: ['Rolls under the foot while the mail is being read.', 'Small, hard and effective.'],
    },
    {
      name: 'Pull-Up Bar',
      price: [29, 99],
      styles: ['Oak', 'Iron', 'Slate'],
      openings: ['Sits in a door frame without a single screw.', 'Four positions for the hands and no excuses left.'],
    },
    {
      name: 'Meditation Cushion',
      price: [29, 79],
      styles: ['Cotton', 'Cork', 'Slate'],
      openings: [
        'Lifts the hips, straightens the back and leaves the rest to you.',
        'Filled with buckwheat husks that can be added or taken out.',
      ],
    },
  ],
  closings: [
    'A poster with twenty exercises is enclosed.',
    'Needs no membership.',
    'Stores under a bed.',
    'Physiotherapists had a word in the design.',
    'It will not be the reason to stop.',
    'Wipe it down and hang it up.',
    'Equally good for beginners and for those who begin again.',
    'Quiet on the floor, for the people below.',
  ],
});
