package lab.jobs;

import org.apache.flink.streaming.api.functions.ProcessFunction;
import org.apache.flink.util.Collector;

/** Text to {@link Event}. */
final class Parse extends ProcessFunction<String, Event> {
  private static final long serialVersionUID = 1L;
  private final Cost cost;

  Parse(Cost cost) {
    this.cost = cost;
  }

  @Override
  public void processElement(String line, Context context, Collector<Event> out) throws Exception {
    cost.pay();
    out.collect(Event.parse(line));
  }
}
