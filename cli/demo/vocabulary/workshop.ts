import { category } from './category.js';

export const workshop = category({
  id: 'workshop',
  season: { peakDay: 105, swing: 0.3 },
  styles: {
    Ash: [
      'Straight-grained ash takes the shock out of every blow.',
      'The ash is turned along the fibre and finished with linseed oil.',
    ],
    Forged: [
      'Drop-forged and hardened in oil, it will be sharpened by somebody not yet born.',
      'The forge marks are left on, the working faces are ground true.',
    ],
    Chrome: [
      'Chrome vanadium throughout, with sizes stamped where they can be read.',
      'The chrome is matt, so greasy hands keep their grip.',
    ],
    Beech: [
      'Steamed beech, dense and even, with brass where it wears.',
      'The beech is waxed and slides without a word.',
    ],
    Canvas: [
      'Waxed canvas of sixteen ounces with rivets at every corner.',
      'The canvas stands up by itself and keeps its edge.',
    ],
    Compact: [
      'The compact version does the same work in half the drawer.',
      'Compact enough for a tool roll and strong enough for a site.',
    ],
  },
  items: [
    {
      name: 'Hammer',
      price: [16, 59],
      styles: ['Ash', 'Forged', 'Compact', 'Beech'],
      sizes: ['200 g', '300 g', '500 g'],
      openings: [
        'A head of {size} that hits where it is looked at.',
        'Swings easily, lands squarely and weighs {size}.',
      ],
    },
    {
      name: 'Chisel Set',
      price: [39, 149],
      styles: ['Ash', 'Forged', 'Beech', 'Compact'],
      openings: [
        'Four widths, flat backs, and an edge that shaves from the box.',
        'Bevelled down to nothing at the sides, for dovetails and other quiet work.',
      ],
    },
    {
      name: 'Screwdriver Set',
      price: [19, 79],
      styles: ['Chrome', 'Compact', 'Ash', 'Beech'],
      openings: [
        'Six drivers whose tips still fit after a thousand screws.',
        'The handles do not roll, and the colours tell cross from flat at a glance.',
      ],
    },
    {
      name: 'Hand Plane',
      price: [49, 189],
      styles: ['Beech', 'Forged', 'Compact'],
      openings: [
        'Takes off a curl so thin that the newspaper can be read through it.',
        'Low and heavy, with a blade that adjusts by feel.',
      ],
    },
    {
      name: 'Tool Roll',
      price: [24, 89],
      styles: ['Canvas', 'Compact'],
      openings: [
        'Twelve pockets of different widths and a flap that keeps them from talking.',
        'Rolls out along the bench and rolls up around everything that matters.',
      ],
    },
    {
      name: 'Socket Set',
      price: [35, 159],
      styles: ['Chrome', 'Compact', 'Forged'],
      sizes: ['24 pieces', '42 pieces', '72 pieces'],
      openings: [
        'A case with {size}, each in a place of its own, so the missing one shows.',
        'Seventy-two teeth in the ratchet and {size} in the box for bicycles, boilers and beds.',
      ],
    },
    {
      name: 'Marking Gauge',
      price: [14, 49],
      styles: ['Beech', 'Chrome', 'Ash', 'Compact'],
      openings: [
        'Scribes a line parallel to the edge, as often as needed and always the same.',
        'The wheel cuts across the grain instead of following it.',
      ],
    },
    {
      name: 'Saw',
      price: [22, 79],
      styles: ['Beech', 'Ash', 'Compact', 'Forged'],
      sizes: ['fine', 'medium', 'coarse'],
      openings: [
        'Cuts on the pull and leaves a {size} kerf that needs no excuse.',
        'Set by hand and {size} in the tooth, with a back that keeps it straight.',
      ],
    },
    {
      name: 'Clamp Pair',
      price: [15, 69],
      styles: ['Chrome', 'Forged', 'Beech', 'Compact'],
      sizes: ['20 cm', '40 cm', '60 cm'],
      openings: [
        'Holds {size} together while the glue thinks about it.',
        'Two clamps that open to {size} and close with one hand.',
      ],
    },
    {
      name: 'Tape Measure',
      price: [8, 29],
      styles: ['Chrome', 'Compact'],
      sizes: ['3 metres', '5 metres', '8 metres'],
      openings: [
        'Stands out stiff across a doorway and runs back gently; {size} long.',
        'Reads from both sides, {size} in clear black figures.',
      ],
    },
    {
      name: 'Workbench',
      price: [149, 449],
      styles: ['Beech', 'Ash', 'Compact'],
      openings: [
        'A top as thick as a fist, a vice at the end and a shelf for what is in the way.',
        'Stands still while you do not.',
      ],
    },
    {
      name: 'Apron',
      price: [29, 89],
      styles: ['Canvas', 'Compact'],
      openings: [
        'Straps cross at the back, so the neck carries nothing.',
        'A pocket for the pencil, a pocket for the rule and a loop for the hammer.',
      ],
    },
    {
      name: 'Oil Stone',
      price: [16, 65],
      styles: ['Beech', 'Ash', 'Compact'],
      openings: [
        'Coarse on one side, fine on the other, flat on both.',
        'Brings back an edge in ten strokes, from kitchen knives to plane irons.',
      ],
    },
  ],
  closings: [
    'Can be sharpened, mended and handed on.',
    'It was used for a year in a boatyard before we listed it.',
    'The guarantee has no end date.',
    'Nothing on it is glued that could be screwed.',
    'A good tool for a first toolbox and a better one for the last.',
    'It comes oiled and wrapped in brown paper.',
    'Left lying in the shavings, it is still there in spring.',
    'Carpenters in the family had the final say.',
  ],
});
