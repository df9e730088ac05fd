/** The log port's conformance suite on a real Kafka; I3, I4 and I7 are held by its tests of these names. */
import { after, describe } from 'node:test';
import { loadSettings } from '../../assembly/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { logConformance } from '../conformance/log.js';
import { kafkaOrReason } from '../support/services/kafka.js';
import { deleteRecords } from '../support/services/kafka-tools.js';

const { kafka, skip } = await kafkaOrReason();
const brokers = kafka?.brokers ?? '';

describe('kafka', { skip }, () => {
  const open = () => openKafkaLog(loadSettings({ KAFKA_BROKERS: brokers }), silentLogger);
  after(() => kafka?.stop());

  const opened = async () => {
    const log = await open();
    const reopen = async () => {
      await log.close();
      return open();
    };
    return { log, reopen };
  };

  logConformance('kafka', opened, {
    truncate: (_log, partition, offset) => deleteRecords(brokers, partition, offset),
  });
});
