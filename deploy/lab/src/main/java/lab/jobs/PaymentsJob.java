package lab.jobs;

import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/** payments (Kafka) and parse | check, by payer. A small job for the session cluster. */
public final class PaymentsJob {
  private PaymentsJob() {}

  public static void main(String[] words) throws Exception {
    Args args = Args.of(words);
    StreamExecutionEnvironment env = Jobs.environment(args);
    Cost checkCost = Cost.ofMicros(args.number("check-us", 8000));

    SingleOutputStreamOperator<Event> parsed =
        Jobs.named(
            "parse", args, Jobs.topic(env, args, "payments").process(new Parse(Cost.ofMicros(0))));
    Jobs.named("check", args, parsed.keyBy(Event::getKey).process(new CountByKey(checkCost, "")));
    env.execute("payments");
  }
}
