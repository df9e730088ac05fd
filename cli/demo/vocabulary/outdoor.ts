import { category } from './category.js';

export const outdoor = category({
  id: 'outdoor',
  season: { peakDay: 190, swing: 0.5 },
  styles: {
    Trail: [
      'The trail series saves grams wherever nobody misses them.',
      'Built for summer trails: light, plain and easy to mend.',
    ],
    Alpine: [
      'The alpine series is made for the wind above the tree line.',
      'Alpine means that it works with thick gloves on and does not mind granite.',
    ],
    Waxed: [
      'Waxed cotton keeps the rain out, breathes, and wears its scars well.',
      'The wax can be renewed at the kitchen table with a cloth and a hair dryer.',
    ],
    Ripstop: [
      'Ripstop weave stops a tear after one square.',
      'The ripstop is coated on the inside, where branches cannot rub it off.',
    ],
    Merino: [
      'Merino warms when damp and stays fresh for days on end.',
      'The wool comes from flocks kept without mulesing and is spun extra fine.',
    ],
    Titanium: [
      'Titanium weighs next to nothing and gives food no taste.',
      'Thin titanium takes on rainbow colours over the flame and is none the worse for it.',
    ],
    Down: [
      'Down of certified origin is held in slanted chambers, so there are no cold spots.',
      'Responsibly sourced down packs to the size of a loaf and springs back overnight.',
    ],
  },
  items: [
    {
      name: 'Tent',
      price: [129, 449],
      styles: ['Trail', 'Alpine', 'Ripstop', 'Waxed'],
      sizes: ['one person', 'two people', 'three people'],
      openings: [
        'A tent for {size} that stands on its own after six minutes.',
        'Room for {size}, two doors, and a porch where boots can dry.',
      ],
    },
    {
      name: 'Sleeping Bag',
      price: [79, 329],
      styles: ['Trail', 'Alpine', 'Down', 'Merino'],
      sizes: ['5 degrees', '0 degrees', 'minus 7 degrees'],
      openings: [
        'Comfortable down to {size}, with space for knees and elbows.',
        'Made for nights of {size}; the hood closes with one hand.',
      ],
    },
    {
      name: 'Backpack',
      price: [59, 219],
      styles: ['Trail', 'Alpine', 'Waxed', 'Ripstop'],
      sizes: ['22 litres', '35 litres', '55 litres'],
      openings: [
        'Carries {size} close to the back and lets the air through behind it.',
        'A pack of {size} with a wide mouth, so the thing at the bottom is found at once.',
      ],
    },
    {
      name: 'Base Layer',
      price: [35, 99],
      styles: ['Merino', 'Trail', 'Alpine'],
      openings: [
        'The shirt that stays on from the night train to the summit.',
        'Flat seams and a long back keep it quiet under a pack.',
      ],
    },
    {
      name: 'Cook Set',
      price: [29, 119],
      styles: ['Titanium', 'Trail', 'Alpine'],
      openings: [
        'Two pots, one lid and a handle that nest around a gas cartridge.',
        'Boils tea water in three minutes and packs down to a mug.',
      ],
    },
    {
      name: 'Rain Jacket',
      price: [69, 279],
      styles: ['Trail', 'Alpine', 'Waxed', 'Ripstop'],
      openings: [
        'Keeps a full day of rain outside and lets the climb out through long side zips.',
        'The hood turns with the head, and the pockets stay reachable under a hip belt.',
      ],
    },
    {
      name: 'Headlamp',
      price: [19, 79],
      styles: ['Trail', 'Alpine'],
      openings: [
        'Throws a wide, even light for camp and a narrow beam for the path.',
        'Red light for the hut, white light for the ridge, thirty hours on one charge.',
      ],
    },
    {
      name: 'Water Bottle',
      price: [14, 49],
      styles: ['Titanium', 'Trail', 'Alpine'],
      sizes: ['0.5 litres', '0.75 litres', '1 litre'],
      openings: [
        'Holds {size}, drinks easily and does not rattle.',
        'A bottle of {size} that fits side pockets and cycle cages alike.',
      ],
    },
    {
      name: 'Camp Blanket',
      price: [39, 149],
      styles: ['Merino', 'Down', 'Waxed', 'Ripstop'],
      openings: [
        'For the hour after sunset when nobody wants to go in yet.',
        'A blanket that buttons into a poncho and rolls up into its own corner.',
      ],
    },
    {
      name: 'Dry Bag',
      price: [12, 45],
      styles: ['Ripstop', 'Trail', 'Alpine', 'Waxed'],
      sizes: ['5 litres', '13 litres', '20 litres'],
      openings: [
        'Roll it three times and {size} of clothes stay dry in a river.',
        'A sack for {size} with a window, so nothing has to be unpacked to be found.',
      ],
    },
    {
      name: 'Gaiters',
      price: [24, 69],
      styles: ['Trail', 'Alpine', 'Waxed', 'Ripstop'],
      openings: [
        'Keeps stones, snow and wet grass out of the boots.',
        'Closes at the front, so it goes on with the boots already laced.',
      ],
    },
  ],
  closings: [
    'It has been carried around a few lakes before it came into the shop.',
    'The weight on the label is the weight on the scale.',
    'No fluorocarbons were used on it.',
    'Packs small, lasts long.',
    'Repairs are free in the first three years.',
    'A reflective mark finds it again in the dark.',
    'It asks for nothing but to be dried before it is put away.',
    'At home on day walks, tested on long ones.',
  ],
});
