/** Documents planted among thousands of others, and the words of somebody who looks for them. */
export interface Planted {
  readonly name: string;
  readonly text: string;
  /** Paraphrases the document and shares at least one content word with it. */
  readonly query: string;
}

export const PLANTED: readonly Planted[] = [
  {
    name: 'sourdough.md',
    text: `# Baking sourdough at home

Feed the starter the evening before, until it doubles. Mix flour, water and salt, and let the dough rest for half an
hour. Fold it four times during the bulk fermentation, shape the loaf, and keep it in the fridge overnight. Bake it in a
very hot cast-iron pot for forty minutes; the crust should be dark and sing while it cools.
`,
    query: 'how to make a loaf of bread with wild yeast dough',
  },
  {
    name: 'volcano.txt',
    text: `Field notes from the eruption. The volcano began to tremble on Tuesday. Ash covered the village by noon and lava
reached the lower slopes in the night. Geologists measured sulphur dioxide in the plume and told the farmers to leave
their cattle and evacuate towards the coast.
`,
    query: 'lava and ash forced people near the mountain to flee',
  },
  {
    name: 'violin.md',
    text: `# Practising the violin

Begin every session with slow scales to settle the intonation of the left hand. Hold the bow without tension in the
thumb. Play difficult passages of the concerto at half tempo, with a metronome, before you bring them up to speed.
An orchestra audition is won by rhythm and sound, not by speed.
`,
    query: 'exercises for a musician learning violin bow technique',
  },
  {
    name: 'greenhouse.txt',
    text: `Tomatoes in the greenhouse: sow in March on a warm windowsill, prick out the seedlings when the first true leaves
appear, and plant them in rich compost in May. Water the soil and never the leaves, since wet foliage brings blight.
Pinch out side shoots every week and feed with potash once the first truss has set.
`,
    query: 'gardening advice for growing tomatoes from seed',
  },
  {
    name: 'passport.md',
    text: `# Lost passport abroad

Report the loss to the local police and keep a copy of the report. Make an appointment at the embassy or consulate, take
two photographs and proof of citizenship, and apply for an emergency travel document. The airline has to be told before
the flight home, and the old passport cannot be used again even when it is found.
`,
    query: 'my passport was stolen on holiday, what should a traveller do',
  },
];
