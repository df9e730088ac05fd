package freshet.bench;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The job of the engine bench, written with Kafka Streams: distinct events, decayed sums per (product, day) after a
 * repartition topic and per (user, day, category), emitted once per commit by the record caches, exactly once. A state
 * per (entity, day), with gets or ranges at emission, was tried too and took more processor time.
 *
 *   Peer BROKERS EVENTS COMMIT_MS memory|rocksdb
 *
 * Prints "ready", counts distinct and repeated events until EVENTS are read, then waits until the aggregates are quiet,
 * prints one JSON line with the processor time and memory of this process, and ends.
 */
public final class Peer {
  private static final double POPULARITY_HALF_LIFE_MS = 14 * 86_400_000.0;
  private static final double AFFINITY_HALF_LIFE_MS = 30 * 86_400_000.0;
  private static final long DAY_MS = 86_400_000L;
  private static final long HORIZON_MS = 6 * 3_600_000L;
  private static final int WINDOW_DAYS = 90;
  private static final int FRAME_BYTES = 10;
  private static final int PRODUCT_ROW = 24;

  private static final AtomicLong READ = new AtomicLong();
  private static final AtomicLong FOLDED_BY_PRODUCT = new AtomicLong();
  private static final AtomicLong DISTINCT = new AtomicLong();

  private record Event(String id, String product, String category, int weight, long ts) {}

  public static void main(String[] args) throws Exception {
    String brokers = args[0];
    long events = Long.parseLong(args[1]);
    String commitMs = args[2];
    boolean memory = args[3].equals("memory");
    File state = Files.createTempDirectory("freshet-peer").toFile();

    Properties config = new Properties();
    config.put(StreamsConfig.APPLICATION_ID_CONFIG, "peer-" + System.nanoTime());
    config.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    config.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    config.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitMs);
    config.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    config.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, "2");
    config.put(StreamsConfig.STATE_DIR_CONFIG, state.getPath());
    config.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, String.valueOf(256L << 20));
    config.put("auto.offset.reset", "earliest");

    KafkaStreams streams = new KafkaStreams(topology(memory).build(), config);
    System.out.println("ready");
    long started = System.nanoTime();
    streams.start();
    while (READ.get() < events || FOLDED_BY_PRODUCT.get() < DISTINCT.get()) Thread.sleep(20);
    Thread.sleep(Long.parseLong(commitMs));
    double seconds = (System.nanoTime() - started) / 1e9;
    streams.close(Duration.ofSeconds(30));
    long cpu = ProcessHandle.current().info().totalCpuDuration().orElse(Duration.ZERO).toMillis();
    System.out.printf(
        "{\"seconds\": %.3f, \"cpu_seconds\": %.3f, \"read\": %d, \"distinct\": %d, \"rss_mib\": %d}%n",
        seconds, cpu / 1000.0, READ.get(), DISTINCT.get(), peakMemoryMib());
  }

  private static StreamsBuilder topology(boolean memory) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(seenStore(memory));
    KStream<String, Event> distinct =
        builder
            .stream("events", Consumed.with(Serdes.String(), Serdes.ByteArray()))
            .processValues(distinct(), "seen");

    distinct
        .groupByKey(Grouped.with(Serdes.String(), eventSerde()))
        .aggregate(() -> new byte[0], (user, event, state) -> addToUser(state, event), store("users", memory))
        .toStream()
        .mapValues(Peer::affinity)
        .to("peer-affinity", Produced.with(Serdes.String(), Serdes.ByteArray()));

    distinct
        .selectKey((user, event) -> event.product())
        .groupByKey(Grouped.with("by-product", Serdes.String(), eventSerde()))
        .aggregate(
            () -> new byte[0],
            (product, event, state) -> {
              FOLDED_BY_PRODUCT.incrementAndGet();
              return addToProduct(state, event);
            },
            store("products", memory))
        .toStream()
        .mapValues(Peer::popularity)
        .to("peer-popularity", Produced.with(Serdes.String(), Serdes.ByteArray()));
    return builder;
  }

  private static StoreBuilder<KeyValueStore<Bytes, Long>> seenStore(boolean memory) {
    return Stores.keyValueStoreBuilder(
        memory ? Stores.inMemoryKeyValueStore("seen") : Stores.persistentKeyValueStore("seen"),
        Serdes.Bytes(),
        Serdes.Long());
  }

  /** Cached: downstream and changelog see each key once per commit. */
  private static Materialized<String, byte[], KeyValueStore<Bytes, byte[]>> store(String name, boolean memory) {
    return Materialized.<String, byte[]>as(memory ? Stores.inMemoryKeyValueStore(name) : Stores.persistentKeyValueStore(name))
        .withKeySerde(Serdes.String())
        .withValueSerde(Serdes.ByteArray())
        .withCachingEnabled();
  }

  /** Drops repeats of (user, event id) within six hours of log time; old ids are removed every ten minutes. */
  private static FixedKeyProcessorSupplier<String, byte[], Event> distinct() {
    return () ->
        new ContextualFixedKeyProcessor<>() {
          private KeyValueStore<Bytes, Long> seen;
          private long clock;

          @Override
          public void init(FixedKeyProcessorContext<String, Event> context) {
            super.init(context);
            seen = context.getStateStore("seen");
            context.schedule(Duration.ofMinutes(10), PunctuationType.WALL_CLOCK_TIME, now -> sweep());
          }

          @Override
          public void process(FixedKeyRecord<String, byte[]> record) {
            READ.incrementAndGet();
            clock = Math.max(clock, record.timestamp());
            Event event = decode(record.value());
            if (event.ts() / DAY_MS < record.timestamp() / DAY_MS - (WINDOW_DAYS - 1)) return;
            Bytes identity = Bytes.wrap((record.key() + '\0' + event.id()).getBytes(StandardCharsets.UTF_8));
            Long before = seen.get(identity);
            seen.put(identity, clock);
            if (before != null && clock - before <= HORIZON_MS) return;
            DISTINCT.incrementAndGet();
            context().forward(record.withValue(event));
          }

          private void sweep() {
            try (var all = seen.all()) {
              while (all.hasNext()) {
                var entry = all.next();
                if (entry.value < clock - HORIZON_MS) seen.delete(entry.key);
              }
            }
          }
        };
  }

  /** Reads the Avro body of schema Event after its ten bytes of framing. */
  private static Event decode(byte[] value) {
    ByteBuffer body = ByteBuffer.wrap(value, FRAME_BYTES, value.length - FRAME_BYTES);
    String id = string(body);
    string(body);
    String product = string(body);
    String category = varlong(body) == 0 ? "unknown" : string(body);
    int weight =
        switch (string(body)) {
          case "view" -> 1;
          case "add_to_cart" -> 2;
          default -> 3;
        };
    return new Event(id, product, category, weight, varlong(body));
  }

  private static String string(ByteBuffer body) {
    int length = (int) varlong(body);
    String text = new String(body.array(), body.arrayOffset() + body.position(), length, StandardCharsets.UTF_8);
    body.position(body.position() + length);
    return text;
  }

  private static long varlong(ByteBuffer body) {
    long zigzag = 0;
    for (int shift = 0; ; shift += 7) {
      byte one = body.get();
      zigzag |= (long) (one & 0x7f) << shift;
      if (one >= 0) return (zigzag >>> 1) ^ -(zigzag & 1);
    }
  }

  /** A product: rows of day (4), sum relative to the day's start (8), three counts (12). */
  private static byte[] addToProduct(byte[] state, Event event) {
    int day = (int) (event.ts() / DAY_MS);
    ByteBuffer old = ByteBuffer.wrap(state);
    int at = 0;
    while (at < state.length && old.getInt(at) != day) at += PRODUCT_ROW;
    ByteBuffer into = ByteBuffer.wrap(Arrays.copyOf(state, Math.max(state.length, at + PRODUCT_ROW)));
    double weight = event.weight() * Math.pow(2, (event.ts() % DAY_MS) / POPULARITY_HALF_LIFE_MS);
    into.putInt(at, day).putDouble(at + 4, into.getDouble(at + 4) + weight);
    int count = at + 12 + 4 * (event.weight() - 1);
    into.putInt(count, into.getInt(count) + 1);
    return into.array();
  }

  /** A user: rows of day (4), sum relative to the day's start (8), category (length byte and bytes). */
  private static byte[] addToUser(byte[] state, Event event) {
    int day = (int) (event.ts() / DAY_MS);
    double weight = event.weight() * Math.pow(2, (event.ts() % DAY_MS) / AFFINITY_HALF_LIFE_MS);
    byte[] category = event.category().getBytes(StandardCharsets.UTF_8);
    ByteBuffer old = ByteBuffer.wrap(state);
    for (int at = 0; at < state.length; at += 13 + state[at + 12]) {
      int start = at + 13;
      if (old.getInt(at) != day) continue;
      if (!Arrays.equals(state, start, start + state[at + 12], category, 0, category.length)) continue;
      byte[] next = state.clone();
      ByteBuffer.wrap(next).putDouble(at + 4, old.getDouble(at + 4) + weight);
      return next;
    }
    byte[] next = Arrays.copyOf(state, state.length + 13 + category.length);
    ByteBuffer.wrap(next).position(state.length).putInt(day).putDouble(weight).put((byte) category.length).put(category);
    return next;
  }

  private static byte[] popularity(String product, byte[] state) {
    long now = System.currentTimeMillis();
    double score = 0;
    int[] counts = new int[3];
    for (ByteBuffer rows = ByteBuffer.wrap(state); rows.hasRemaining(); ) {
      int day = rows.getInt();
      double sum = rows.getDouble();
      boolean inWindow = day > now / DAY_MS - WINDOW_DAYS;
      if (inWindow) score += sum * Math.pow(2, -(now - day * (double) DAY_MS) / POPULARITY_HALF_LIFE_MS);
      for (int i = 0; i < 3; i++) {
        int count = rows.getInt();
        if (inWindow) counts[i] += count;
      }
    }
    byte[] id = product.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(id.length + 32);
    out.putInt(id.length).put(id).putDouble(score).putLong(now);
    for (int count : counts) out.putInt(count);
    return out.array();
  }

  private static byte[] affinity(String user, byte[] state) {
    long now = System.currentTimeMillis();
    Map<ByteBuffer, Double> sums = new HashMap<>();
    double total = 0;
    int bytes = 0;
    ByteBuffer rows = ByteBuffer.wrap(state);
    for (int at = 0; at < state.length; at += 13 + state[at + 12]) {
      int day = rows.getInt(at);
      if (day <= now / DAY_MS - WINDOW_DAYS) continue;
      double decayed = rows.getDouble(at + 4) * Math.pow(2, -(now - day * (double) DAY_MS) / AFFINITY_HALF_LIFE_MS);
      sums.merge(ByteBuffer.wrap(state, at + 13, state[at + 12]).slice(), decayed, Double::sum);
      bytes += 12 + state[at + 12];
      total += decayed;
    }
    byte[] id = user.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(16 + id.length + bytes);
    out.putInt(id.length).put(id).putLong(now).putInt(sums.size());
    for (Map.Entry<ByteBuffer, Double> sum : sums.entrySet())
      out.putInt(sum.getKey().remaining()).put(sum.getKey().duplicate()).putDouble(sum.getValue() / total);
    return Arrays.copyOf(out.array(), out.position());
  }

  /** Events after the repartition topic: the product is the key there, so only the rest is sent. */
  private static Serde<Event> eventSerde() {
    return Serdes.serdeFrom(
        (topic, event) -> {
          byte[] category = event.category().getBytes(StandardCharsets.UTF_8);
          byte[] product = event.product().getBytes(StandardCharsets.UTF_8);
          ByteBuffer out = ByteBuffer.allocate(17 + category.length + product.length);
          out.putInt(event.weight()).putLong(event.ts()).putInt(category.length).put(category).put(product);
          return Arrays.copyOf(out.array(), out.position());
        },
        (topic, bytes) -> {
          ByteBuffer in = ByteBuffer.wrap(bytes);
          int weight = in.getInt();
          long ts = in.getLong();
          byte[] category = new byte[in.getInt()];
          in.get(category);
          byte[] product = new byte[in.remaining()];
          in.get(product);
          return new Event("", new String(product, StandardCharsets.UTF_8), new String(category, StandardCharsets.UTF_8), weight, ts);
        });
  }

  private static long peakMemoryMib() {
    try {
      for (String line : Files.readAllLines(Path.of("/proc/self/status")))
        if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("\\D", "")) / 1024;
    } catch (IOException e) {
      return -1;
    }
    return -1;
  }
}
