import { category } from './category.js';

export const garden = category({
  id: 'garden',
  season: { peakDay: 135, swing: 0.7 },
  styles: {
    Cedar: [
      'Cedar weathers to a soft silver grey and never asks for oil.',
      'The cedar comes from slow-grown northern stands and keeps its scent for the first summers.',
    ],
    Zinc: [
      'Hot-dipped zinc takes on a quiet patina outdoors and shrugs off late frosts.',
      'Rolled zinc edges leave nothing sharp to catch a sleeve on.',
    ],
    Terracotta: [
      'The terracotta is fired twice, so it breathes without crumbling in the first winter.',
      'Unglazed clay lets roots breathe and gives back the warmth of the afternoon.',
    ],
    Steel: [
      'Powder-coated steel stays straight and clean after years in the rain.',
      'The steel is bent from one sheet, which leaves no seam for rust to start in.',
    ],
    Willow: [
      'Each piece is woven from whole willow rods, so no two are quite alike.',
      'Willow is light to carry, strong in the hand and returns to the soil in the end.',
    ],
    Recycled: [
      'It is moulded from collected fishing nets and old crates, in a matt charcoal that hides scratches.',
      'Every kilogram of it was rubbish once; now it will outlast most of what stands beside it.',
    ],
  },
  items: [
    {
      name: 'Planter',
      price: [24, 119],
      styles: ['Cedar', 'Zinc', 'Terracotta', 'Recycled', 'Willow'],
      sizes: ['40 cm', '60 cm', '80 cm'],
      openings: [
        'A deep planter, {size} wide, with room for tomatoes and a ring of basil around them.',
        'Turns a bare corner of the terrace into a small bed, {size} from end to end.',
      ],
    },
    {
      name: 'Watering Can',
      price: [19, 64],
      styles: ['Zinc', 'Steel', 'Recycled'],
      sizes: ['5 litres', '8 litres', '11 litres'],
      openings: [
        'Holds {size} and pours a fine, even rain that does not flatten seedlings.',
        'The long spout reaches to the back of the bed while the {size} inside stay balanced.',
      ],
    },
    {
      name: 'Cold Frame',
      price: [69, 189],
      styles: ['Cedar', 'Steel', 'Recycled'],
      openings: [
        'Starts the season four weeks early: salad, radishes and hardy flowers grow under its lid from March.',
        'A low frame with a hinged lid that props open at three heights, for hardening off young plants.',
      ],
    },
    {
      name: 'Trellis',
      price: [22, 85],
      styles: ['Cedar', 'Steel', 'Willow', 'Recycled'],
      sizes: ['150 cm', '180 cm', '200 cm'],
      openings: [
        'Gives beans, sweet peas and clematis {size} to climb.',
        'A screen {size} tall that hides the compost by midsummer.',
      ],
    },
    {
      name: 'Compost Bin',
      price: [39, 149],
      styles: ['Cedar', 'Steel', 'Recycled', 'Willow'],
      sizes: ['220 litres', '300 litres', '400 litres'],
      openings: [
        'Swallows {size} of peelings and cuttings and turns them into dark crumbly soil within a year.',
        'Slots on all sides keep the {size} inside airy, which is most of the secret of compost.',
      ],
    },
    {
      name: 'Herb Box',
      price: [16, 49],
      styles: ['Cedar', 'Zinc', 'Terracotta', 'Recycled'],
      openings: [
        'Five herbs fit side by side and stay within reach of the stove.',
        'A narrow box for the windowsill, with a hidden tray that catches what is poured too much.',
      ],
    },
    {
      name: 'Bird Feeder',
      price: [14, 58],
      styles: ['Cedar', 'Zinc', 'Willow', 'Recycled'],
      openings: [
        'Tits and finches find it within days, and the wide roof keeps the seed dry.',
        'Hangs from a branch or a hook and is filled from above without taking it down.',
      ],
    },
    {
      name: 'Garden Trug',
      price: [18, 55],
      styles: ['Willow', 'Cedar', 'Recycled', 'Zinc'],
      openings: [
        'Carries the harvest in and the weeds out, and stands steadily on uneven ground.',
        'A shallow basket for cut flowers, early potatoes and the odd pair of gloves.',
      ],
    },
    {
      name: 'Edging Set',
      price: [29, 95],
      styles: ['Steel', 'Zinc', 'Cedar', 'Recycled'],
      sizes: ['4 metres', '6 metres', '10 metres'],
      openings: [
        'Draws {size} of clean line between lawn and bed, and keeps it there.',
        'The pieces lock without tools and follow curves, {size} in all.',
      ],
    },
    {
      name: 'Bench',
      price: [129, 349],
      styles: ['Cedar', 'Steel', 'Recycled', 'Willow'],
      openings: [
        'A seat for two under the apple tree, comfortable enough to read a whole chapter.',
        'Low arms and a slightly tilted back make it the place where the evening ends.',
      ],
    },
  ],
  closings: [
    'Arrives in plain cardboard, without a single plastic bag.',
    'Spare parts are listed one by one and can be ordered for ten years.',
    'Frost is no reason to bring it inside.',
    'A leaflet with a planting calendar lies in the box.',
    'The quiet colours leave the show to the plants.',
    'Rinse it once a year; that is all the care it wants.',
    'It spent two winters in our own yard before it came into the shop.',
    'Good for a balcony, better for an allotment.',
  ],
});
