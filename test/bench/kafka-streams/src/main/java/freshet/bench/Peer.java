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
import java.util.HashSet;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Repartitioned;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * The job of the engine bench as one would write it with Kafka Streams: distinct events, decayed sums per (product, day)
 * behind a repartition topic and per (user, day, category), each changed entity emitted once per commit interval,
 * exactly once. State per (entity, day) keeps the records of the changelog small.
 *
 *   Peer BROKERS EVENTS COMMIT_MS memory|rocksdb
 *
 * Prints "ready", counts distinct and repeated events until EVENTS were read, then waits until the aggregates are quiet,
 * prints one JSON line with the processor time and memory of this process, and ends.
 */
public final class Peer {
  private static final double POPULARITY_HALF_LIFE_MS = 14 * 86_400_000.0;
  private static final double AFFINITY_HALF_LIFE_MS = 30 * 86_400_000.0;
  private static final long DAY_MS = 86_400_000L;
  private static final long HORIZON_MS = 6 * 3_600_000L;
  private static final int WINDOW_DAYS = 90;
  private static final int FRAME_BYTES = 10;

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

    KafkaStreams streams = new KafkaStreams(topology(memory, Long.parseLong(commitMs)).build(), config);
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

  private static StreamsBuilder topology(boolean memory, long commitMs) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(seenStore(memory));
    builder.addStateStore(dayStore("users", memory));
    builder.addStateStore(dayStore("products", memory));
    KStream<String, Event> distinct =
        builder
            .stream("events", Consumed.with(Serdes.String(), Serdes.ByteArray()))
            .processValues(distinct(), "seen");

    distinct
        .process(() -> new DayFold("users", commitMs, Peer::addToUser, Peer::affinity, null), "users")
        .to("peer-affinity", Produced.with(Serdes.String(), Serdes.ByteArray()));

    distinct
        .selectKey((user, event) -> event.product())
        .repartition(Repartitioned.<String, Event>as("by-product").withKeySerde(Serdes.String()).withValueSerde(eventSerde()))
        .process(
            () -> new DayFold("products", commitMs, Peer::addToProduct, Peer::popularity, FOLDED_BY_PRODUCT), "products")
        .to("peer-popularity", Produced.with(Serdes.String(), Serdes.ByteArray()));
    return builder;
  }

  /** Adds an event to the state of its day (null: nothing yet). */
  private interface Add {
    byte[] apply(byte[] state, Event event);
  }

  /** The value of an entity, from the states of its days. */
  private interface Show {
    byte[] apply(String entity, Map<Integer, byte[]> days);
  }

  /**
   * Keeps a state per (entity, day); emits every changed entity once per commit interval. The days of each entity are
   * known in memory, because a range over a cached store costs far more than a few gets.
   */
  private static final class DayFold extends ContextualProcessor<String, Event, String, byte[]> {
    private final String storeName;
    private final long commitMs;
    private final Add add;
    private final Show show;
    private final AtomicLong folded;
    private final Set<String> dirty = new HashSet<>();
    private final Map<String, TreeSet<Integer>> daysOf = new HashMap<>();
    private KeyValueStore<Bytes, byte[]> days;

    DayFold(String storeName, long commitMs, Add add, Show show, AtomicLong folded) {
      this.storeName = storeName;
      this.commitMs = commitMs;
      this.add = add;
      this.show = show;
      this.folded = folded;
    }

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      super.init(context);
      days = context.getStateStore(storeName);
      try (var all = days.all()) {
        while (all.hasNext()) {
          byte[] key = all.next().key.get();
          String entity = new String(key, 0, key.length - 5, StandardCharsets.UTF_8);
          daysOf.computeIfAbsent(entity, one -> new TreeSet<>()).add(ByteBuffer.wrap(key).getInt(key.length - 4));
        }
      }
      context.schedule(Duration.ofMillis(commitMs), PunctuationType.WALL_CLOCK_TIME, this::emit);
    }

    @Override
    public void process(Record<String, Event> record) {
      int day = (int) (record.value().ts() / DAY_MS);
      Bytes key = dayKey(record.key(), day);
      daysOf.computeIfAbsent(record.key(), one -> new TreeSet<>()).add(day);
      days.put(key, add.apply(days.get(key), record.value()));
      dirty.add(record.key());
      if (folded != null) folded.incrementAndGet();
    }

    private void emit(long now) {
      int first = (int) (now / DAY_MS) - (WINDOW_DAYS - 1);
      for (String entity : dirty) {
        Map<Integer, byte[]> window = new HashMap<>();
        for (int day : daysOf.get(entity).tailSet(first)) window.put(day, days.get(dayKey(entity, day)));
        context().forward(new Record<>(entity, show.apply(entity, window), now));
      }
      dirty.clear();
    }
  }

  private static Bytes dayKey(String entity, int day) {
    byte[] id = entity.getBytes(StandardCharsets.UTF_8);
    return Bytes.wrap(ByteBuffer.allocate(id.length + 5).put(id).put((byte) 0).putInt(day).array());
  }

  private static StoreBuilder<KeyValueStore<Bytes, Long>> seenStore(boolean memory) {
    return Stores.keyValueStoreBuilder(
        memory ? Stores.inMemoryKeyValueStore("seen") : Stores.persistentKeyValueStore("seen"),
        Serdes.Bytes(),
        Serdes.Long());
  }

  /** Changes are kept in the cache until the commit, so that the changelog gets each row once per commit. */
  private static StoreBuilder<KeyValueStore<Bytes, byte[]>> dayStore(String name, boolean memory) {
    return Stores.keyValueStoreBuilder(
            memory ? Stores.inMemoryKeyValueStore(name) : Stores.persistentKeyValueStore(name),
            Serdes.Bytes(),
            Serdes.ByteArray())
        .withCachingEnabled();
  }

  /** Drops repeats of (user, event id) within six hours of log time; old ids are swept every ten minutes. */
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

  /** Reads the Avro body of schema Event behind its ten bytes of framing. */
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

  /** A product's day: sum relative to the day's start (8), three counts (12). */
  private static byte[] addToProduct(byte[] state, Event event) {
    byte[] next = state == null ? new byte[20] : state.clone();
    ByteBuffer into = ByteBuffer.wrap(next);
    double weight = event.weight() * Math.pow(2, (event.ts() % DAY_MS) / POPULARITY_HALF_LIFE_MS);
    into.putDouble(0, into.getDouble(0) + weight);
    int count = 8 + 4 * (event.weight() - 1);
    into.putInt(count, into.getInt(count) + 1);
    return next;
  }

  /** A user's day: rows of sum relative to the day's start (8), category (length byte and bytes). */
  private static byte[] addToUser(byte[] state, Event event) {
    byte[] old = state == null ? new byte[0] : state;
    double weight = event.weight() * Math.pow(2, (event.ts() % DAY_MS) / AFFINITY_HALF_LIFE_MS);
    byte[] category = event.category().getBytes(StandardCharsets.UTF_8);
    for (int at = 0; at < old.length; at += 9 + old[at + 8]) {
      int start = at + 9;
      if (!Arrays.equals(old, start, start + old[at + 8], category, 0, category.length)) continue;
      byte[] next = old.clone();
      ByteBuffer into = ByteBuffer.wrap(next);
      into.putDouble(at, into.getDouble(at) + weight);
      return next;
    }
    byte[] next = Arrays.copyOf(old, old.length + 9 + category.length);
    ByteBuffer.wrap(next).position(old.length).putDouble(weight).put((byte) category.length).put(category);
    return next;
  }

  private static byte[] popularity(String product, Map<Integer, byte[]> days) {
    long now = System.currentTimeMillis();
    double score = 0;
    int[] counts = new int[3];
    for (Map.Entry<Integer, byte[]> day : days.entrySet()) {
      ByteBuffer row = ByteBuffer.wrap(day.getValue());
      score += row.getDouble() * Math.pow(2, -(now - day.getKey() * (double) DAY_MS) / POPULARITY_HALF_LIFE_MS);
      for (int i = 0; i < 3; i++) counts[i] += row.getInt();
    }
    byte[] id = product.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(id.length + 32);
    out.putInt(id.length).put(id).putDouble(score).putLong(now);
    for (int count : counts) out.putInt(count);
    return out.array();
  }

  private static byte[] affinity(String user, Map<Integer, byte[]> days) {
    long now = System.currentTimeMillis();
    Map<ByteBuffer, Double> sums = new HashMap<>();
    double total = 0;
    int bytes = 0;
    for (Map.Entry<Integer, byte[]> day : days.entrySet()) {
      double factor = Math.pow(2, -(now - day.getKey() * (double) DAY_MS) / AFFINITY_HALF_LIFE_MS);
      byte[] state = day.getValue();
      for (int at = 0; at < state.length; at += 9 + state[at + 8]) {
        double decayed = ByteBuffer.wrap(state).getDouble(at) * factor;
        if (sums.merge(ByteBuffer.wrap(state, at + 9, state[at + 8]).slice(), decayed, Double::sum) == decayed)
          bytes += 12 + state[at + 8];
        total += decayed;
      }
    }
    byte[] id = user.getBytes(StandardCharsets.UTF_8);
    ByteBuffer out = ByteBuffer.allocate(16 + id.length + bytes);
    out.putInt(id.length).put(id).putLong(now).putInt(sums.size());
    for (Map.Entry<ByteBuffer, Double> sum : sums.entrySet())
      out.putInt(sum.getKey().remaining()).put(sum.getKey().duplicate()).putDouble(sum.getValue() / total);
    return Arrays.copyOf(out.array(), out.position());
  }

  /** Events behind the repartition topic: product is the key there, so only the rest travels. */
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
