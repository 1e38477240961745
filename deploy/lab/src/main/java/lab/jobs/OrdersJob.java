package lab.jobs;

import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * orders (Kafka) and parse | enrich, by customer: the expensive part | deliver. Three vertices, so that the
 * parallelism of the expensive part can differ from the others'.
 */
public final class OrdersJob {
  private OrdersJob() {}

  public static void main(String[] words) throws Exception {
    Args args = Args.of(words);
    StreamExecutionEnvironment env = Jobs.environment(args);
    Cost parseCost = Cost.ofMicros(args.number("parse-us", 0));
    Cost enrichCost = Cost.ofMicros(args.number("enrich-us", 3000));
    Cost deliverCost = Cost.ofMicros(args.number("deliver-us", 100));
    String failWhile = args.text("fail-while", "");

    SingleOutputStreamOperator<Event> parsed =
        Jobs.named("parse", args, Jobs.topic(env, args, "orders").process(new Parse(parseCost)));
    SingleOutputStreamOperator<Event> enriched =
        Jobs.named(
            "enrich", args, parsed.keyBy(Event::getKey).process(new CountByKey(enrichCost, failWhile)));
    Jobs.named("deliver", args, enriched.rebalance().process(new Drop<>(deliverCost)));
    env.execute("orders");
  }
}
