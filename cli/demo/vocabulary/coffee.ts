import { category } from './category.js';

export const coffee = category({
  id: 'coffee',
  season: { peakDay: 15, swing: 0.15 },
  styles: {
    Glass: [
      'Borosilicate glass shows the brew as it darkens and gives it no taste of its own.',
      'The glass is blown thick at the base and survives a careless spoon.',
    ],
    Porcelain: [
      'White porcelain keeps the temperature steady through the last third of the pour.',
      'The porcelain is glazed inside and left matt outside, so it never slips.',
    ],
    'Brushed Steel': [
      'Brushed steel hides fingerprints and forgives a drop onto the tiles.',
      'Double walls of steel keep the heat in and the outside cool.',
    ],
    Walnut: [
      'Walnut parts are turned from offcuts of a furniture maker and oiled twice.',
      'The walnut darkens with handling until it looks like the drink itself.',
    ],
    'Matt Black': [
      'The matt black coating is baked on and keeps its looks in a busy kitchen.',
      'In matt black it disappears on the counter until it is needed.',
    ],
    Copper: [
      'A thin layer of copper spreads the heat and slowly warms in colour.',
      'Lacquered copper keeps its shine with nothing but a soft cloth.',
    ],
  },
  items: [
    {
      name: 'Pour-Over Dripper',
      price: [14, 49],
      styles: ['Glass', 'Porcelain', 'Brushed Steel', 'Copper', 'Matt Black'],
      openings: [
        'Spiral ribs lift the paper off the wall, so the water runs as fast as you pour.',
        'One cup at a time, clear and bright, in three minutes of quiet.',
      ],
    },
    {
      name: 'Hand Grinder',
      price: [39, 169],
      styles: ['Brushed Steel', 'Walnut', 'Matt Black', 'Copper'],
      openings: [
        'Conical burrs turn 20 grams to an even powder in about forty seconds.',
        'Clicks from espresso to French press and remembers where it stood.',
      ],
    },
    {
      name: 'French Press',
      price: [24, 79],
      styles: ['Glass', 'Brushed Steel', 'Porcelain', 'Matt Black'],
      sizes: ['350 ml', '600 ml', '1 litre'],
      openings: [
        'Brews {size} of full-bodied coffee, with a double filter that leaves the mud behind.',
        'Four minutes, a slow push, and {size} are ready for the table.',
      ],
    },
    {
      name: 'Gooseneck Kettle',
      price: [39, 129],
      styles: ['Brushed Steel', 'Matt Black', 'Copper', 'Walnut'],
      sizes: ['0.6 litres', '0.9 litres', '1.2 litres'],
      openings: [
        'The narrow neck places water to the drop; {size} are enough for a full server.',
        'Holds {size} and pours as slowly as patience allows.',
      ],
    },
    {
      name: 'Espresso Cup Pair',
      price: [16, 44],
      styles: ['Glass', 'Porcelain', 'Brushed Steel', 'Matt Black'],
      openings: [
        'Two small cups with thick walls that keep the crema standing.',
        'A pair shaped like an egg inside, so that the last sip is as warm as the first.',
      ],
    },
    {
      name: 'Moka Pot',
      price: [22, 69],
      styles: ['Brushed Steel', 'Copper', 'Matt Black', 'Walnut'],
      sizes: ['two cups', 'four cups', 'six cups'],
      openings: [
        'Makes {size} of strong, dark coffee and announces itself with a gurgle.',
        'The classic of small kitchens, for {size}, with a handle that stays cool.',
      ],
    },
    {
      name: 'Bean Canister',
      price: [18, 59],
      styles: ['Glass', 'Porcelain', 'Brushed Steel', 'Matt Black', 'Copper'],
      openings: [
        'A valve lets the gas out and no air in, so beans stay fresh for weeks.',
        'Press the inner lid down to the beans and the air is gone.',
      ],
    },
    {
      name: 'Tea Infuser',
      price: [9, 34],
      styles: ['Glass', 'Brushed Steel', 'Porcelain', 'Copper'],
      openings: [
        'Gives whole leaves the room to unfold and lifts out without a drip.',
        'A fine mesh that holds back rooibos and still lets the water through.',
      ],
    },
    {
      name: 'Milk Jug',
      price: [14, 39],
      styles: ['Brushed Steel', 'Porcelain', 'Copper', 'Matt Black', 'Glass'],
      openings: [
        'The sharp spout draws hearts, leaves and, with practice, swans.',
        'Marks on the inside show how much milk two cappuccinos need.',
      ],
    },
    {
      name: 'Coffee Scale',
      price: [29, 99],
      styles: ['Matt Black', 'Walnut', 'Glass', 'Brushed Steel'],
      openings: [
        'Weighs to a tenth of a gram and starts the clock with the first drop.',
        'Thin enough to slide under any dripper, with a display that can be read at dawn.',
      ],
    },
  ],
  closings: [
    'A small card explains three ways to brew.',
    'Made for the first ten minutes of the day.',
    'Good with light roasts, forgiving with dark ones.',
    'Rinse it, let it dry, and it is ready for the next one.',
    'It takes up less room than a bag of beans.',
    'The baristas in our office fight over it.',
    'Comes in a box that is nice enough to give away.',
    'It makes the second cup as good as the first.',
  ],
});
