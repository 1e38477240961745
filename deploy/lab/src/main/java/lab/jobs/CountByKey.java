package lab.jobs;

import java.io.File;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * Replaces the number of each event by how many events its key has had. Fails while the file exists whose path it
 * was given, so that a test can let a job fail when it wants to.
 */
final class CountByKey extends KeyedProcessFunction<String, Event, Event> {
  private static final long serialVersionUID = 1L;
  private final Cost cost;
  private final String failWhile;
  private transient ValueState<Long> count;

  CountByKey(Cost cost, String failWhile) {
    this.cost = cost;
    this.failWhile = failWhile;
  }

  @Override
  public void processElement(Event event, Context context, Collector<Event> out) throws Exception {
    if (count == null) { // not in open(): its signature differs between Flink 1.18 and 2.x
      count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Long.class));
    }
    if (!failWhile.isEmpty() && new File(failWhile).exists()) {
      throw new IllegalStateException("there is a file " + failWhile);
    }
    cost.pay();
    Long before = count.value();
    long now = before == null ? 1 : before + 1;
    count.update(now);
    out.collect(new Event(event.key, now));
  }
}
