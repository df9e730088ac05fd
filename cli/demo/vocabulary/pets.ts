import { category } from './category.js';

export const pets = category({
  id: 'pets',
  season: { peakDay: 120, swing: 0.08 },
  styles: {
    Hemp: [
      'Hemp gets softer with age and never starts to smell.',
      'The hemp is spun thick and holds against a serious pull.',
    ],
    Felt: [
      'Wool felt keeps warm, keeps its shape and keeps hair on the outside.',
      'The felt is four millimetres thick and cut, not sewn, wherever possible.',
    ],
    Rattan: [
      'Rattan is woven while wet and tightens as it dries.',
      'Natural rattan, smooth enough for paws and tough enough for claws.',
    ],
    Canvas: [
      'The canvas goes into the wash and comes out as it was.',
      'Sturdy canvas with a wax finish lets mud fall off when it is dry.',
    ],
    Ceramic: [
      'Heavy ceramic stays put, however eager the guest.',
      'The ceramic is glazed without lead and goes into the dishwasher.',
    ],
    Reflective: [
      'A woven reflective thread lights up from two hundred metres.',
      'Reflective on both sides, bright by day in warm orange.',
    ],
  },
  items: [
    {
      name: 'Dog Bed',
      price: [39, 149],
      styles: ['Felt', 'Rattan', 'Canvas', 'Hemp'],
      sizes: ['small dogs', 'medium dogs', 'large dogs'],
      openings: [
        'A bed for {size}, with a raised rim for chins and a low step for old legs.',
        'Deep enough to dream in; made for {size} that like to turn around three times first.',
      ],
    },
    {
      name: 'Lead',
      price: [14, 45],
      styles: ['Hemp', 'Reflective', 'Canvas'],
      openings: [
        'Gives two metres of freedom and a handle that does not cut.',
        'Clips short for the street and long for the field.',
      ],
    },
    {
      name: 'Cat Cave',
      price: [29, 89],
      styles: ['Felt', 'Rattan', 'Canvas', 'Hemp'],
      openings: [
        'A round cave with one door, which is all a cat asks of a house.',
        'Can be pressed flat into a nest on days of great heat.',
      ],
    },
    {
      name: 'Food Bowl',
      price: [9, 35],
      styles: ['Ceramic'],
      sizes: ['0.4 litres', '0.8 litres', '1.5 litres'],
      openings: [
        'Slows down the greedy and holds {size}.',
        'Wide for whiskers, {size} deep, and raised a little off the floor.',
      ],
    },
    {
      name: 'Scratching Post',
      price: [29, 119],
      styles: ['Hemp', 'Rattan', 'Felt'],
      openings: [
        'Tall enough for a full stretch, heavy enough not to fall for it.',
        'Saves the sofa, and the rope can be wound again.',
      ],
    },
    {
      name: 'Travel Carrier',
      price: [35, 129],
      styles: ['Canvas', 'Felt', 'Rattan', 'Reflective'],
      openings: [
        'Opens from above and from the front, so nobody has to be pushed.',
        'Fits under a train seat and belts into a car.',
      ],
    },
    {
      name: 'Throw Toy',
      price: [6, 22],
      styles: ['Hemp', 'Felt', 'Canvas', 'Reflective'],
      openings: ['Flies far, floats and is found again.', 'Squeaks not at all, for the sake of everyone else.'],
    },
    {
      name: 'Collar',
      price: [12, 39],
      styles: ['Hemp', 'Reflective', 'Canvas', 'Felt'],
      openings: [
        'Soft inside, strong outside, with room for a name and a number.',
        'Opens by itself if it ever gets caught on a branch.',
      ],
    },
    {
      name: 'Treat Jar',
      price: [12, 36],
      styles: ['Ceramic', 'Rattan'],
      openings: ['Closes tightly enough to be left within sniffing distance.', 'Holds a fortnight of good behaviour.'],
    },
    {
      name: 'Blanket',
      price: [16, 55],
      styles: ['Felt', 'Canvas', 'Hemp', 'Reflective'],
      openings: [
        'For the sofa, the car and the café terrace.',
        'Smells of home after two nights and is welcome everywhere from then on.',
      ],
    },
    {
      name: 'Water Fountain',
      price: [29, 79],
      styles: ['Ceramic'],
      openings: [
        'Keeps water moving, which is what cats think water should do.',
        'Runs so quietly that only the lapping is heard.',
      ],
    },
    {
      name: 'Coat',
      price: [24, 79],
      styles: ['Reflective', 'Canvas', 'Felt'],
      openings: [
        'Covers the back and the belly and leaves the tail its freedom.',
        'Goes over the head, closes at the side and is on before the dog objects.',
      ],
    },
  ],
  closings: [
    'The office dog approves.',
    'Sizes are explained with pictures, not with breeds.',
    'Can be washed, and will have to be.',
    'Tested by tooth and claw.',
    'Send it back if it is ignored for a month.',
    'Part of the price goes to shelters in the region.',
    'No dyes, no fuss, no squeaking.',
    'It grows old as gracefully as its owner.',
  ],
});
