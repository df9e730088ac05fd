import { category } from './category.js';

export const audio = category({
  id: 'audio',
  season: { peakDay: 338, swing: 0.4 },
  styles: {
    Studio: [
      'The studio series is tuned flat, without a bump to flatter anyone.',
      'Studio stands for parts that can be unscrewed, replaced and measured.',
    ],
    Walnut: [
      'Real walnut, bookmatched, around a stiff and silent core.',
      'The walnut is oiled by hand and warms up any shelf.',
    ],
    Pocket: [
      'The pocket series fits where its name says and gives up little for it.',
      'Small enough to be taken along without a second thought.',
    ],
    Marine: [
      'Marine means rubber-sealed seams and no fear of rain or salt.',
      'It has spent a week in a harbour basin and still plays.',
    ],
    Bone: [
      'In matt bone white it disappears against a wall.',
      'The bone finish is warm to the touch and shows no fingerprints.',
    ],
    Graphite: [
      'Graphite grey, with a fabric front that can be changed in seconds.',
      'The graphite body is cast in one piece, which keeps it from humming along.',
    ],
  },
  items: [
    {
      name: 'Headphones',
      price: [59, 299],
      styles: ['Studio', 'Walnut', 'Bone', 'Graphite', 'Pocket'],
      openings: [
        'Cushions as wide as an ear, a band without pressure, and thirty hours between charges.',
        'Lets a full orchestra through and leaves the underground outside.',
      ],
    },
    {
      name: 'Bookshelf Speaker',
      price: [119, 449],
      styles: ['Studio', 'Walnut', 'Bone', 'Graphite'],
      openings: [
        'Puts singers in the middle of the room and the bass where it belongs.',
        'A small cabinet with a large stage, happy close to the wall.',
      ],
    },
    {
      name: 'Portable Speaker',
      price: [39, 189],
      styles: ['Pocket', 'Marine', 'Graphite', 'Bone', 'Walnut'],
      openings: [
        'Plays from breakfast to the last swim and charges over lunch.',
        'Pairs with a second one and turns the garden into stereo.',
      ],
    },
    {
      name: 'Record Player',
      price: [149, 499],
      styles: ['Walnut', 'Studio', 'Bone', 'Graphite'],
      openings: [
        'A belt, a good bearing and an arm that was set up before it left the bench.',
        'Lowers the needle softly and lifts it again when the side is over.',
      ],
    },
    {
      name: 'Radio',
      price: [49, 199],
      styles: ['Walnut', 'Pocket', 'Marine', 'Bone', 'Graphite'],
      openings: [
        'One knob for the station, one for the volume, four buttons for favourites.',
        'Wakes up with the news and falls asleep after the concert.',
      ],
    },
    {
      name: 'Earbuds',
      price: [39, 179],
      styles: ['Pocket', 'Studio', 'Marine', 'Bone', 'Graphite'],
      openings: [
        'Stays in while running and is forgotten while listening.',
        'Six hours in the ear, a day in the case, four sizes of tips.',
      ],
    },
    {
      name: 'Microphone',
      price: [49, 229],
      styles: ['Studio', 'Pocket', 'Graphite', 'Bone'],
      openings: [
        'Hears the voice and overlooks the room behind it.',
        'For calls, songs and stories, with a stand that folds flat.',
      ],
    },
    {
      name: 'Amplifier',
      price: [129, 449],
      styles: ['Studio', 'Walnut', 'Graphite', 'Bone'],
      sizes: ['30 watts', '50 watts', '80 watts'],
      openings: [
        'Gives {size} to each side and stays cool about it.',
        'A compact amplifier of {size} with one input for everything that is older than it.',
      ],
    },
    {
      name: 'Metronome',
      price: [19, 69],
      styles: ['Walnut', 'Pocket', 'Graphite', 'Bone'],
      openings: [
        'Counts from grave to prestissimo and does not judge.',
        'A soft click or a small light, whichever the neighbours prefer.',
      ],
    },
    {
      name: 'Headphone Stand',
      price: [19, 69],
      styles: ['Walnut', 'Bone', 'Graphite', 'Studio'],
      openings: ['Keeps the band in shape and the desk in order.', 'Curved like a shoulder and heavy at the foot.'],
    },
  ],
  closings: [
    'Batteries and cushions can be replaced at home.',
    'The manual is one page long.',
    'No account, no update on the first evening.',
    'Each one is listened to before it is packed.',
    'Five years of warranty, parts for ten.',
    'Quiet when it should be.',
    'It sounds better than it needs to at the price.',
    'Comes with the cable that is usually missing.',
  ],
});
