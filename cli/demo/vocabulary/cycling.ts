import { category } from './category.js';

export const cycling = category({
  id: 'cycling',
  season: { peakDay: 165, swing: 0.5 },
  styles: {
    Commuter: [
      'The commuter line thinks of dark mornings: reflective where cars look, quiet everywhere else.',
      'Made for daily roads, it wears slowly and shows no dirt.',
    ],
    Gravel: [
      'The gravel line is loosened up for rough tracks and long days.',
      'Mud rinses off, stones bounce off, and nothing rattles afterwards.',
    ],
    Leather: [
      'Vegetable-tanned leather gets darker, softer and better with every few hundred kilometres.',
      'The leather is thick, undyed at the edges and can be fed with plain grease.',
    ],
    Alloy: [
      'Forged alloy keeps it light without any fuss.',
      'The alloy is anodised, so scratches stay silver and shallow.',
    ],
    Canvas: [
      'Tight canvas swells in the rain and closes its own pores.',
      'Heavy canvas and brass rivets age together.',
    ],
    Aero: [
      'The aero cut was shaped in a tunnel and then made comfortable again.',
      'Smooth surfaces save a few watts and look faster even at rest.',
    ],
  },
  items: [
    {
      name: 'Helmet',
      price: [49, 179],
      styles: ['Commuter', 'Gravel', 'Aero'],
      openings: [
        'Sits low, weighs little and is adjusted with one wheel at the back.',
        'Deep channels lead air from the brow to the neck, even at walking pace.',
      ],
    },
    {
      name: 'Pannier',
      price: [49, 149],
      styles: ['Commuter', 'Gravel', 'Canvas', 'Leather'],
      sizes: ['16 litres', '20 litres', '25 litres'],
      openings: [
        'Clicks onto any rack, carries {size} and becomes a shoulder bag at the door.',
        'A case for {size} that swallows a laptop, lunch and the rain jacket.',
      ],
    },
    {
      name: 'Handlebar Tape',
      price: [14, 45],
      styles: ['Leather', 'Gravel', 'Aero', 'Canvas'],
      openings: [
        'Grips in the wet, gives a little on bad roads and wraps without wrinkles.',
        'Enough length for wide bars, with plugs that stay in.',
      ],
    },
    {
      name: 'Front Light',
      price: [29, 119],
      styles: ['Commuter', 'Gravel', 'Alloy', 'Aero'],
      sizes: ['40 lux', '70 lux', '100 lux'],
      openings: [
        'Puts {size} on the road and none into the eyes of others.',
        'A beam of {size} with a clean upper edge, and a charge that lasts the week.',
      ],
    },
    {
      name: 'Saddle',
      price: [39, 149],
      styles: ['Leather', 'Commuter', 'Gravel', 'Aero'],
      openings: [
        'Wide where the bones rest and open where nothing should press.',
        'A saddle for long hours that still looks slim from the side.',
      ],
    },
    {
      name: 'Floor Pump',
      price: [29, 89],
      styles: ['Alloy', 'Commuter', 'Gravel'],
      openings: [
        'Fills a tyre in twenty strokes and shows the pressure at eye level.',
        'One head fits every valve, and the broad base keeps the feet firm.',
      ],
    },
    {
      name: 'Bell',
      price: [9, 39],
      styles: ['Alloy', 'Commuter', 'Gravel', 'Aero'],
      openings: [
        'A clear, friendly tone that carries across a bridge.',
        'Small enough to vanish beside the stem, and heard all the same.',
      ],
    },
    {
      name: 'Mudguard Set',
      price: [24, 69],
      styles: ['Alloy', 'Commuter', 'Gravel', 'Aero'],
      openings: [
        'Full length front and rear, so shoes stay dry and so does whoever follows.',
        'Fits quickly with clips, leaves quickly on sunny Sundays.',
      ],
    },
    {
      name: 'Frame Bag',
      price: [29, 99],
      styles: ['Canvas', 'Gravel', 'Commuter', 'Aero'],
      openings: [
        'Uses the triangle that is empty anyway for tools, snacks and a wind vest.',
        'Holds its shape when half full and keeps clear of the knees.',
      ],
    },
    {
      name: 'Gloves',
      price: [19, 65],
      styles: ['Leather', 'Gravel', 'Commuter', 'Aero'],
      openings: [
        'Thin pads under the palm take the buzz out of the bars.',
        'The fingertips work on screens, and the thumb is soft for obvious reasons.',
      ],
    },
    {
      name: 'Lock',
      price: [35, 129],
      styles: ['Commuter', 'Alloy', 'Gravel'],
      openings: [
        'Hardened links in a soft sleeve protect both the bicycle and its paint.',
        'Long enough for a lamp post and light enough to be taken along.',
      ],
    },
  ],
  closings: [
    'Tested through a winter of salt and slush.',
    'Small parts can be reordered one by one.',
    'Five years of warranty, also for daily riders.',
    'It weighs less than it looks.',
    'At home on city streets and on the long way around.',
    'Fitted in minutes and forgotten for years.',
    'Every piece is checked by somebody who rides to work.',
    'It goes from one bicycle to the next.',
  ],
});
