import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.module.afterburner.AfterburnerModule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams: one thread, event-time windows of a minute in memory, one count per record key.
 *
 * <p>Takes the arguments of job.py (servers, topic, events, result file) and writes the same report.
 * The time before main is not counted, what the JVM spends on warming up is.
 */
public final class WindowedCount {
    private static final Duration WINDOW = Duration.ofMinutes(1);
    private static final Duration GRACE = Duration.ofSeconds(10);
    private static final Duration RETENTION = Duration.ofHours(2);
    private static final ObjectReader EVENTS =
        new ObjectMapper().registerModule(new AfterburnerModule()).readerFor(Event.class);

    /** The fields that every peer decodes. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    public static final class Event {
        public String id;
        public String time;
        public String module;
        public String region;
        public String routing;
        public int status;
        public double duration_ms;
    }

    public static void main(String[] arguments) throws Exception {
        long cpuBefore = cpuNanos();
        long wallBefore = System.nanoTime();
        long wanted = Long.parseLong(arguments[2]);
        Map<String, Long> totals = new ConcurrentHashMap<>();
        CountDownLatch done = new CountDownLatch(1);
        Path state = Files.createTempDirectory("bench-kafka-streams-");
        StreamsBuilder builder = new StreamsBuilder();
        count(builder, arguments[1], wanted, totals, done);
        KafkaStreams streams = new KafkaStreams(builder.build(), settings(arguments[0], state));
        streams.start();
        done.await();
        streams.close(Duration.ofSeconds(30)); // writes out what its caches hold
        double cpuSeconds = (cpuNanos() - cpuBefore) / 1e9;
        double wallSeconds = (System.nanoTime() - wallBefore) / 1e9;
        streams.cleanUp();
        Files.deleteIfExists(state);
        Map<String, Object> report = new HashMap<>();
        report.put("cpu_s", cpuSeconds);
        report.put("wall_s", wallSeconds);
        report.put("peak_kib", peakKibibytes());
        report.put("events", wanted);
        report.put("totals", totals);
        new ObjectMapper().writeValue(Path.of(arguments[3]).toFile(), report);
    }

    private static void count(
        StreamsBuilder builder, String topic, long wanted, Map<String, Long> totals,
        CountDownLatch done) {
        AtomicLong seen = new AtomicLong();
        Serde<Event> events = Serdes.serdeFrom(unusedSerializer(), decoder());
        builder.stream(topic, Consumed.with(Serdes.String(), events)
                .withTimestampExtractor(WindowedCount::eventTime))
            .peek((key, event) -> {
                if (seen.incrementAndGet() == wanted) done.countDown();
            })
            .groupByKey(Grouped.with(Serdes.String(), events))
            .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, GRACE))
            .count(Materialized.<String, Long>as(
                    Stores.inMemoryWindowStore("counts", RETENTION, WINDOW, false))
                .withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()).withCachingEnabled())
            .toStream()
            .foreach((window, number) -> totals.put(
                window.key() + "|" + window.window().startTime().toString().substring(0, 16),
                number));
    }

    private static Properties settings(String servers, Path state) {
        Properties settings = new Properties();
        settings.put("application.id", "bench-kafka-streams-" + ProcessHandle.current().pid());
        settings.put("bootstrap.servers", servers);
        settings.put("auto.offset.reset", "earliest");
        settings.put("num.stream.threads", 1);
        settings.put("state.dir", state.toString());
        settings.put("commit.interval.ms", 5_000);
        settings.put("statestore.cache.max.bytes", 64 << 20);
        settings.put("max.poll.records", 10_000);
        return settings;
    }

    private static long eventTime(ConsumerRecord<Object, Object> record, long before) {
        return Instant.parse(((Event) record.value()).time).toEpochMilli();
    }

    private static Deserializer<Event> decoder() {
        return (topic, body) -> {
            try {
                return EVENTS.readValue(body);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        };
    }

    /** Nothing is written back: the key is the grouping, so there is no repartition. */
    private static Serializer<Event> unusedSerializer() {
        return (topic, event) -> {
            throw new IllegalStateException("a repartition that the topology does not have");
        };
    }

    private static long cpuNanos() {
        return ((com.sun.management.OperatingSystemMXBean)
            ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static long peakKibibytes() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM")) return Long.parseLong(line.replaceAll("\\D", ""));
        }
        return 0;
    }
}
