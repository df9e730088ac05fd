import { category } from './category.js';

export const bedroom = category({
  id: 'bedroom',
  season: { peakDay: 325, swing: 0.3 },
  styles: {
    Linen: [
      'Washed linen is cool in July, warm in January and never needs an iron.',
      'The flax is grown and spun within a day of the sea, and softens with each wash.',
    ],
    Percale: [
      'Percale is woven one over, one under, which makes it crisp and matt like a good shirt.',
      'Long-staple cotton in a percale weave stays smooth and does not pill.',
    ],
    Sateen: [
      'The sateen weave gives it a soft drape and a quiet sheen.',
      'Dense sateen holds warmth and feels like the second week of a holiday.',
    ],
    Wool: [
      'New wool evens out heat and damp, so the night stays dry.',
      'The wool is carded, not bleached, and airs itself clean at an open window.',
    ],
    Flannel: [
      'Flannel is brushed on both sides and feels warm from the first second.',
      'Heavy flannel takes the chill off winter mornings.',
    ],
    Organic: [
      'Certified organic cotton, undyed, in the colour of oat milk.',
      'The organic cotton is combed twice, so nothing scratches and little shrinks.',
    ],
  },
  items: [
    {
      name: 'Duvet Cover',
      price: [49, 159],
      styles: ['Linen', 'Percale', 'Sateen', 'Flannel', 'Organic'],
      sizes: ['135 by 200 cm', '155 by 220 cm', '200 by 220 cm'],
      openings: [
        'A cover of {size} with hidden buttons and ties inside that keep the corners filled.',
        'Makes the bed look slept in, in the best way; it measures {size}.',
      ],
    },
    {
      name: 'Fitted Sheet',
      price: [29, 89],
      styles: ['Linen', 'Percale', 'Sateen', 'Flannel', 'Organic'],
      sizes: ['90 by 200 cm', '140 by 200 cm', '180 by 200 cm'],
      openings: [
        'Deep corners hold on to mattresses of {size} through the most restless night.',
        'An elastic runs all the way around, so {size} stay as flat as they were made.',
      ],
    },
    {
      name: 'Pillowcase Pair',
      price: [19, 59],
      styles: ['Linen', 'Percale', 'Sateen', 'Flannel', 'Organic'],
      openings: [
        'Two cases with a deep fold in place of buttons, so nothing presses on the cheek.',
        'A pair with a narrow border, cut a little larger than the pillow.',
      ],
    },
    {
      name: 'Throw',
      price: [39, 129],
      styles: ['Linen', 'Wool', 'Flannel', 'Organic'],
      openings: [
        'Lies at the foot of the bed by day and over the knees by night.',
        'Long enough for feet and shoulders at the same time.',
      ],
    },
    {
      name: 'Duvet',
      price: [79, 249],
      styles: ['Wool', 'Organic', 'Linen'],
      sizes: ['summer', 'the seasons in between', 'winter'],
      openings: [
        'Filled and stitched for {size}, with small squares that keep everything in place.',
        'A duvet for {size} that settles around the sleeper instead of standing off.',
      ],
    },
    {
      name: 'Bedspread',
      price: [69, 199],
      styles: ['Linen', 'Organic', 'Percale', 'Wool'],
      openings: [
        'Turns a bed into a sofa for the day and falls almost to the floor.',
        'A honeycomb texture gives it weight without much warmth.',
      ],
    },
    {
      name: 'Pyjamas',
      price: [45, 109],
      styles: ['Linen', 'Sateen', 'Flannel', 'Organic', 'Percale'],
      openings: [
        'A collar, one pocket, a soft waistband: dressed enough for breakfast.',
        'Cut wide at the shoulder, so turning over is no work.',
      ],
    },
    {
      name: 'Eye Mask',
      price: [12, 34],
      styles: ['Linen', 'Sateen', 'Organic', 'Wool'],
      openings: [
        'Padded around the nose, where other masks let the dawn in.',
        'Light on the lids and dark as a cellar.',
      ],
    },
    {
      name: 'Mattress Topper',
      price: [89, 259],
      styles: ['Wool', 'Organic', 'Linen'],
      openings: [
        'Gives a hard mattress a second chance.',
        'Four straps hold it down, and a zip makes the cover washable.',
      ],
    },
    {
      name: 'Cushion',
      price: [24, 69],
      styles: ['Linen', 'Wool', 'Flannel', 'Organic', 'Sateen'],
      openings: [
        'Firm enough for reading, soft enough for what comes after.',
        'A cushion with a double seam and a filling that can be topped up.',
      ],
    },
  ],
  closings: [
    'Dyed in small batches, so order what belongs together at once.',
    'It comes in a bag made from the same cloth.',
    'Washed once before it is sewn, so that the size stays true.',
    'Free of everything that has no place near the skin.',
    'Sleep on it for thirty nights and send it back if it is not right.',
    'The colours were chosen to get along with each other.',
    'Hang it outside on a dry day and it smells of it.',
    'Every seam is finished twice.',
  ],
});
