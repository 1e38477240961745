package lab.jobs;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * numbers | deliver, slowly. The source makes numbers as fast as it may, so the job is always under back pressure;
 * it reports no pendingRecords, and a numRecordsIn that stays 0.
 */
public final class NumbersJob {
  private NumbersJob() {}

  public static void main(String[] words) throws Exception {
    Args args = Args.of(words);
    StreamExecutionEnvironment env = Jobs.environment(args);
    Cost deliverCost = Cost.ofMicros(args.number("deliver-us", 5000));

    DataStream<Long> numbers =
        env.fromSource(
                new NumberSequenceSource(1, Long.MAX_VALUE - 1), WatermarkStrategy.noWatermarks(), "numbers")
            .uid("numbers");
    Jobs.named("deliver", args, numbers.rebalance().process(new Drop<>(deliverCost)));
    env.execute("numbers");
  }
}
