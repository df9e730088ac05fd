import { category } from './category.js';

export const kitchen = category({
  id: 'kitchen',
  season: { peakDay: 345, swing: 0.25 },
  styles: {
    'Cast Iron': [
      'Cast iron holds its heat long after the flame is off and gets better with every meal.',
      'It comes seasoned with rapeseed oil, ready for the first egg.',
    ],
    Copper: [
      'Two millimetres of copper answer the flame within a breath.',
      'The copper outside and the steel lining are rolled into one sheet, so nothing ever has to be re-tinned.',
    ],
    Beech: [
      'The beech is oiled, close-grained and kind to sharp edges.',
      'Beech from managed forests, sanded by hand until nothing catches.',
    ],
    Stoneware: [
      'Reactive glaze pools differently on every piece of stoneware.',
      'High-fired stoneware goes from freezer to oven without complaint.',
    ],
    Enamel: [
      'The enamel is fired in two coats, with the thin dark rim that grandmothers knew.',
      'Smooth enamel keeps no smell of yesterday and cleans with a wipe.',
    ],
    Carbon: [
      'High-carbon steel takes a fine edge and keeps it through a week of onions.',
      'Carbon steel is as hard as it is thin, and only asks to be dried after washing.',
    ],
    Olive: [
      'Olive wood has a grain like running water, and its oil keeps cracks away.',
      'The wood is taken from trees too old to bear, then dried for two years.',
    ],
  },
  items: [
    {
      name: 'Skillet',
      price: [34, 129],
      styles: ['Cast Iron', 'Copper', 'Carbon', 'Enamel'],
      sizes: ['20 cm', '24 cm', '28 cm'],
      openings: [
        'A skillet {size} across that browns evenly from rim to rim.',
        'Sears a steak, bakes a tart and serves both at the table; it measures {size}.',
      ],
    },
    {
      name: 'Casserole',
      price: [59, 239],
      styles: ['Cast Iron', 'Copper', 'Stoneware', 'Enamel'],
      sizes: ['2.5 litres', '4 litres', '6 litres'],
      openings: [
        'Made for long Sundays: {size} of stew simmer under a lid that lets nothing escape.',
        'The heavy lid returns every drop to the {size} below, so roasts stay tender.',
      ],
    },
    {
      name: 'Chopping Board',
      price: [22, 79],
      styles: ['Beech', 'Olive'],
      openings: [
        'Thick enough not to warp, with a groove that catches the juice of a ripe tomato.',
        'A board with two faces, one for bread and one for everything else.',
      ],
    },
    {
      name: 'Salt Cellar',
      price: [12, 38],
      styles: ['Beech', 'Olive', 'Stoneware', 'Copper', 'Enamel'],
      openings: [
        'Keeps flaky salt dry and within a pinch of the stove.',
        'The swivel lid opens with one finger while the other hand stirs.',
      ],
    },
    {
      name: "Chef's Knife",
      price: [45, 189],
      styles: ['Carbon', 'Olive', 'Beech'],
      sizes: ['18 cm', '20 cm', '23 cm'],
      openings: [
        'A blade of {size} that rocks through herbs and glides through squash.',
        'Balanced at the bolster, {size} long, and thin behind the edge where it counts.',
      ],
    },
    {
      name: 'Mixing Bowl',
      price: [15, 49],
      styles: ['Stoneware', 'Enamel', 'Copper', 'Olive'],
      sizes: ['1.5 litres', '3 litres', '4.5 litres'],
      openings: [
        'Has the weight to stand still under a whisk and the room for {size} of dough.',
        'A wide rim, a small spout and {size} of space for batter, salad or proving bread.',
      ],
    },
    {
      name: 'Baking Dish',
      price: [18, 69],
      styles: ['Stoneware', 'Enamel', 'Cast Iron', 'Copper'],
      openings: [
        'Takes lasagne for six and looks well enough to go straight to the table.',
        'Straight sides and broad handles make it easy to lift out with thick gloves.',
      ],
    },
    {
      name: 'Spoon Set',
      price: [14, 42],
      styles: ['Beech', 'Olive', 'Copper', 'Enamel'],
      openings: [
        'Four spoons for stirring, tasting, skimming and serving.',
        'The long handles keep hands away from the steam, and the thin lips reach into corners.',
      ],
    },
    {
      name: 'Mortar',
      price: [26, 74],
      styles: ['Cast Iron', 'Stoneware', 'Olive', 'Copper'],
      openings: [
        'Crushes pepper, pounds pesto and stays where it was put.',
        'The rough inside does the work in a dozen turns of the wrist.',
      ],
    },
    {
      name: 'Kettle',
      price: [39, 119],
      styles: ['Copper', 'Enamel', 'Cast Iron', 'Carbon'],
      sizes: ['1.2 litres', '1.6 litres', '2 litres'],
      openings: [
        'Boils {size} quickly and hums before it whistles.',
        'The spout pours without a splash, down to the last of its {size}.',
      ],
    },
  ],
  closings: [
    'Wash it by hand and it will see the children move out.',
    'The edges are rounded, so it sits well in the hand and in the cupboard.',
    'A card with three recipes comes with it.',
    'It is made in small runs and checked by eye.',
    'If it ever breaks, we mend it or take it back.',
    'A good first piece for an empty kitchen.',
    'Simple shapes, made to be used every day.',
    'It belongs on the table as much as in the drawer.',
  ],
});
