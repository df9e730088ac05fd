import { category } from './category.js';

export const lighting = category({
  id: 'lighting',
  season: { peakDay: 340, swing: 0.5 },
  styles: {
    Brass: [
      'Solid brass is left unlacquered, so it darkens slowly towards honey.',
      'The brass is turned from bar, which gives it a weight that pressed metal never has.',
    ],
    Opal: [
      'Opal glass spreads the light so evenly that the bulb cannot be seen.',
      'Three layers of opal glass take the glare away and leave the brightness.',
    ],
    Linen: [
      'Natural linen warms the light and shows its weave when it is on.',
      'The linen is stretched by hand over a wire frame and can be brushed clean.',
    ],
    Ash: [
      'Ash is pale, tough and bent with steam until it holds the curve on its own.',
      'The ash is soaped rather than varnished, so a fine sandpaper makes it new again.',
    ],
    Concrete: [
      'The concrete is cast in small moulds, with the tiny bubbles that prove it.',
      'Pale concrete keeps it steady and stays pleasantly cool to the touch.',
    ],
    Paper: [
      'Mulberry paper glows from edge to edge and weighs almost nothing.',
      'The paper is treated so that dust can simply be blown away.',
    ],
  },
  items: [
    {
      name: 'Desk Lamp',
      price: [49, 189],
      styles: ['Brass', 'Ash', 'Concrete', 'Opal', 'Linen'],
      openings: [
        'Bends at two joints, stays where it is put and lights the page, not the reader.',
        'A lamp for late work, with a dimmer where the thumb already rests.',
      ],
    },
    {
      name: 'Pendant',
      price: [69, 289],
      styles: ['Brass', 'Opal', 'Linen', 'Ash', 'Paper', 'Concrete'],
      sizes: ['25 cm', '35 cm', '50 cm'],
      openings: [
        'Hangs low over the table and draws a circle around dinner; the shade measures {size}.',
        'A quiet shape of {size} that looks finished from below as well.',
      ],
    },
    {
      name: 'Floor Lamp',
      price: [99, 369],
      styles: ['Brass', 'Linen', 'Ash', 'Paper', 'Concrete'],
      openings: [
        'Stands behind the armchair and leans over just far enough to read by.',
        'One foot on the floor, one switch on the cord, and the whole corner is usable.',
      ],
    },
    {
      name: 'Wall Light',
      price: [45, 169],
      styles: ['Brass', 'Opal', 'Ash', 'Concrete', 'Paper'],
      openings: [
        'Washes the wall up and down and never shines into the eyes.',
        'A small light for the hallway that makes coming home a little nicer.',
      ],
    },
    {
      name: 'Night Light',
      price: [18, 59],
      styles: ['Opal', 'Ash', 'Paper', 'Linen'],
      openings: [
        'Just bright enough to find the door, just dim enough to sleep by.',
        'Wakes at a touch and fades away by itself after half an hour.',
      ],
    },
    {
      name: 'Candle Holder',
      price: [14, 65],
      styles: ['Brass', 'Concrete', 'Ash', 'Opal'],
      openings: [
        'Holds a dinner candle upright and catches what it drips.',
        'Low and wide, for the middle of a long table.',
      ],
    },
    {
      name: 'String Lights',
      price: [16, 49],
      styles: ['Paper', 'Opal', 'Brass', 'Linen'],
      sizes: ['3 metres', '5 metres', '10 metres'],
      openings: [
        'Runs {size} along a shelf, a railing or a party.',
        'Twinkles not at all: {size} of steady, warm points of light.',
      ],
    },
    {
      name: 'Reading Clip',
      price: [19, 55],
      styles: ['Brass', 'Ash', 'Opal', 'Linen'],
      openings: [
        'Clamps to the headboard and leaves the other half of the bed in the dark.',
        'Follows the book from the sofa to the train, with a battery for twelve hours.',
      ],
    },
    {
      name: 'Lantern',
      price: [24, 95],
      styles: ['Brass', 'Paper', 'Opal', 'Linen'],
      openings: [
        'Goes wherever the evening goes and hangs from a branch if it has to.',
        'A lantern with a wide handle, made to be carried down to the water.',
      ],
    },
  ],
  closings: [
    'The bulb is included, warm white, and can be changed.',
    'It uses less power in a year than an oven in a day.',
    'Dims without a flicker.',
    'Packed in moulded paper that goes straight into the recycling.',
    'Five minutes from the box to the first evening.',
    'Tested for a thousand hours before it left the workshop.',
    'It looks as good switched off.',
    'Made for rooms where people sit close together.',
  ],
});
