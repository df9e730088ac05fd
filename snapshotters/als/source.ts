/** The topic that models are made of: interactions of the features application that runs. */
import { RUNNING_SETS } from '../../topics/running.js';

export const SOURCE = RUNNING_SETS.features[0].topics.interactions.name;
