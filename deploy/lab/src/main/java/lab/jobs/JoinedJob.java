package lab.jobs;

import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.co.KeyedCoProcessFunction;
import org.apache.flink.util.Collector;

/**
 * clicks (Kafka) and views (Kafka), two topics of different rate | join, by user: the expensive part | aggregate,
 * by user, and deliver.
 */
public final class JoinedJob {
  private JoinedJob() {}

  public static void main(String[] words) throws Exception {
    Args args = Args.of(words);
    StreamExecutionEnvironment env = Jobs.environment(args);
    Cost joinCost = Cost.ofMicros(args.number("join-us", 2500));
    Cost aggregateCost = Cost.ofMicros(args.number("aggregate-us", 500));

    KeyedStream<Event, String> clicks = byUser(env, args, "clicks");
    KeyedStream<Event, String> views = byUser(env, args, "views");
    SingleOutputStreamOperator<Event> joined =
        Jobs.named("join", args, clicks.connect(views).process(new LastView(joinCost)));
    SingleOutputStreamOperator<Event> counted =
        Jobs.named("aggregate", args, joined.keyBy(Event::getKey).process(new CountByKey(aggregateCost, "")));
    Jobs.named("deliver", args, counted.process(new Drop<>(Cost.ofMicros(0))))
        .setParallelism(counted.getParallelism()); // stays chained to the aggregate
    env.execute("joined");
  }

  private static KeyedStream<Event, String> byUser(StreamExecutionEnvironment env, Args args, String topic) {
    Parse parse = new Parse(Cost.ofMicros(0));
    return Jobs.named("parse-" + topic, args, Jobs.topic(env, args, topic).process(parse)).keyBy(Event::getKey);
  }

  /** Each click goes out with the number of the user's last view (0 before the first one). */
  private static final class LastView extends KeyedCoProcessFunction<String, Event, Event, Event> {
    private static final long serialVersionUID = 1L;
    private final Cost cost;
    private transient ValueState<Long> view;

    LastView(Cost cost) {
      this.cost = cost;
    }

    @Override
    public void processElement1(Event click, Context context, Collector<Event> out) throws Exception {
      cost.pay();
      Long last = lastView().value();
      out.collect(new Event(click.key, last == null ? 0 : last));
    }

    @Override
    public void processElement2(Event seen, Context context, Collector<Event> out) throws Exception {
      cost.pay();
      lastView().update(seen.number);
    }

    private ValueState<Long> lastView() {
      if (view == null) { // not in open(): its signature differs between Flink 1.18 and 2.x
        view = getRuntimeContext().getState(new ValueStateDescriptor<>("last-view", Long.class));
      }
      return view;
    }
  }
}
