package lab.jobs;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.kafka.clients.consumer.OffsetResetStrategy;

/** What all jobs of the lab have in common. */
final class Jobs {
  /** Has many divisors, so most parallelisms spread the key groups evenly. */
  private static final int MAX_PARALLELISM = 120;

  private Jobs() {}

  static StreamExecutionEnvironment environment(Args args) {
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.setParallelism(args.number("parallelism", 1));
    env.setMaxParallelism(args.number("max-parallelism", MAX_PARALLELISM));
    // Shown by the REST API as "user-config" of the job.
    env.getConfig().setGlobalJobParameters(Configuration.fromMap(args.all()));
    return env;
  }

  /**
   * A Kafka topic as a source named after it. A new consumer group starts at the end of the topic; a restarted
   * ApplicationMaster has the same group and goes on where the last checkpoint committed.
   */
  static SingleOutputStreamOperator<String> topic(StreamExecutionEnvironment env, Args args, String topic) {
    KafkaSource<String> source =
        KafkaSource.<String>builder()
            .setBootstrapServers(args.text("brokers", "127.0.0.1:9092"))
            .setTopics(topic)
            .setGroupId(args.text("group", topic))
            // The lag is as of the last fetch. The lab's records are small: a fetch of the default size would hold
            // minutes of them, and the lag would stand still meanwhile.
            .setProperty("max.partition.fetch.bytes", "4096")
            .setStartingOffsets(OffsetsInitializer.committedOffsets(OffsetResetStrategy.LATEST))
            .setValueOnlyDeserializer(new SimpleStringSchema())
            .build();
    return env.fromSource(source, WatermarkStrategy.noWatermarks(), topic).uid(topic);
  }

  /** Gives an operator its name, a fixed uid, and its own parallelism if the command line has one. */
  static <T> SingleOutputStreamOperator<T> named(
      String name, Args args, SingleOutputStreamOperator<T> operator) {
    int parallelism = args.number(name + "-parallelism", args.number("parallelism", 1));
    return operator.name(name).uid(name).setParallelism(parallelism);
  }
}
