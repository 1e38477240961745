package lab.load;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * `LoadGen BROKERS RATES-FILE TOPIC:PARTITIONS...` creates the topics, then writes records `key,number` to them. The
 * rates file has lines `TOPIC RECORDS-PER-SECOND`; it is read again each second.
 */
public final class LoadGen {
  private static final int KEYS = 4096;
  private static final long PAUSE_MILLIS = 10;
  private static final long REREAD_NANOS = 1_000_000_000L;

  private LoadGen() {}

  public static void main(String[] args) throws Exception {
    List<Topic> topics = new ArrayList<>();
    for (int i = 2; i < args.length; i++) {
      String[] parts = args[i].split(":");
      topics.add(new Topic(parts[0], Integer.parseInt(parts[1])));
    }
    create(args[0], topics);
    System.err.println("topics are ready");
    try (Producer<String, String> producer = new KafkaProducer<>(settings(args[0]))) {
      write(producer, topics, Path.of(args[1]));
    }
  }

  private static void create(String brokers, List<Topic> topics) throws Exception {
    try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", brokers))) {
      for (Topic topic : topics) {
        try {
          admin.createTopics(List.of(new NewTopic(topic.name, topic.partitions, (short) 1))).all().get();
        } catch (ExecutionException e) {
          if (!(e.getCause() instanceof TopicExistsException)) {
            throw e;
          }
        }
      }
    }
  }

  private static Properties settings(String brokers) {
    Properties settings = new Properties();
    settings.put("bootstrap.servers", brokers);
    settings.put("acks", "1");
    settings.put("linger.ms", "20");
    settings.put("key.serializer", StringSerializer.class.getName());
    settings.put("value.serializer", StringSerializer.class.getName());
    return settings;
  }

  private static void write(Producer<String, String> producer, List<Topic> topics, Path rates) throws Exception {
    long last = System.nanoTime();
    long read = last - REREAD_NANOS;
    while (true) {
      long now = System.nanoTime();
      if (now - read >= REREAD_NANOS) {
        read = now;
        reread(rates, topics);
      }
      for (Topic topic : topics) {
        topic.write(producer, (now - last) / 1e9);
      }
      last = now;
      Thread.sleep(PAUSE_MILLIS);
    }
  }

  private static void reread(Path file, List<Topic> topics) {
    try {
      Map<String, Double> rates =
          Files.readAllLines(file).stream()
              .map(line -> line.trim().split("\\s+"))
              .collect(Collectors.toMap(words -> words[0], words -> Double.parseDouble(words[1])));
      topics.forEach(topic -> topic.rate = rates.getOrDefault(topic.name, topic.rate));
    } catch (IOException | RuntimeException e) {
      System.err.println("the rates stay as they are: " + e);
    }
  }

  private static final class Topic {
    private final String name;
    private final int partitions;
    private double rate;
    private double due;
    private long written;

    Topic(String name, int partitions) {
      this.name = name;
      this.partitions = partitions;
    }

    void write(Producer<String, String> producer, double seconds) {
      due += rate * seconds;
      for (; due >= 1; due--, written++) {
        // A multiplicative hash: consecutive records get keys that are far apart, and all keys come equally often.
        long key = (written * 2654435761L >>> 7) % KEYS;
        int partition = (int) (written % partitions);
        producer.send(new ProducerRecord<>(name, partition, null, String.format("k%04d,%d", key, written)));
      }
    }
  }
}
